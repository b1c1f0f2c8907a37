public import SharedMemory

/// Direct access: the device uses the buffer where it is, and nothing is copied.
///
/// For backends that may see all of a guest's memory, and as the other half of every comparison.
public struct IdentityMapper: ~Copyable, DMAMapper {
    public init() {}

    public var maximumMappingByteCount: Int { Int.max }
    public var copiedByteCount: Int { 0 }

    public mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection
    ) throws(MapRefusal) -> DMAMapping {
        precondition(buffer.byteCount > 0, "a buffer has a length")
        return DMAMapping(
            buffer: buffer, deviceRange: buffer, direction: direction, slots: .none,
            pool: nil)
    }

    public mutating func syncForDevice(
        _ mapping: borrowing DMAMapping, offset: Int, byteCount: Int
    ) {}

    public mutating func syncForCPU(
        _ mapping: borrowing DMAMapping, offset: Int, byteCount: Int
    ) {}

    public mutating func unmap(_ mapping: consuming DMAMapping, usedByteCount: Int) {
        precondition(mapping.pool == nil, "a mapping is unmapped where it was mapped")
        _ = mapping.end()
    }
}
