public import SharedMemory

/// Direct access: the device uses the buffer where it is, and nothing is copied.
///
/// For backends that may see all of a guest's memory, and as the other half of every comparison.
public struct IdentityMapper: ~Copyable, DMAMapper {
    public init() {}

    public var maximumMappingByteCount: Int { DMAMapping.byteCountMax }
    public var copiedByteCount: Int { 0 }

    public mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection, _ attributes: MapAttributes
    ) throws(MapRefusal) -> DMAMapping {
        guard buffer.byteCount > 0 else { throw .empty }
        guard buffer.byteCount <= maximumMappingByteCount else {
            throw .tooLarge(maximumByteCount: maximumMappingByteCount)
        }
        return DMAMapping(
            bufferAddress: buffer.address.rawValue, deviceAddress: buffer.address.rawValue,
            byteCount: buffer.byteCount, direction: direction, state: .none, firstSlot: 0,
            isCacheable: false)
    }

    public mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection
    ) throws(MapRefusal) -> DMAMapping {
        try map(buffer, direction, [])
    }

    public mutating func syncForDevice(
        _ mapping: borrowing DMAMapping, offset: Int, byteCount: Int
    ) {}

    public mutating func syncForCPU(
        _ mapping: borrowing DMAMapping, offset: Int, byteCount: Int
    ) {}

    public mutating func unmap(_ mapping: consuming DMAMapping, usedByteCount: Int) {
        unmap(mapping, usedByteCount: usedByteCount, [])
    }

    public mutating func unmap(
        _ mapping: consuming DMAMapping, usedByteCount: Int, _ attributes: MapAttributes
    ) {
        precondition(mapping.state == .none, "a mapping is unmapped where it was mapped")
        mapping.end()
    }
}
