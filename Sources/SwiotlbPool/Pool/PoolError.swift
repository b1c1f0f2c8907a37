/// Why a pool, a part of one, or a change of one was refused. Nothing has changed then.
public enum PoolError: Error, Hashable, Sendable {
    /// A slot size, segment length or number of segments outside what ``PoolGeometry`` documents.
    case unsupportedGeometry
    /// A limit of ``PoolConfiguration`` is outside its documented range.
    case unsupportedConfiguration
    /// The memory is not a positive multiple of a segment, this many bytes, long.
    case notWholeSegments(segmentByteCount: Int)
    /// The window's address is not a multiple of a segment, this many bytes.
    case misalignedWindow(segmentByteCount: Int)
    /// The window begins at 2^63 or above, or, grown to its last extent, has more than 2^24 slots.
    case windowTooLarge
    /// Every extent has the length of the first, this many bytes.
    case extentLengthDiffers(expectedByteCount: Int)
    /// The pool has as many extents as it was configured for.
    case tooManyExtents(maximum: Int)
    /// There is no extent of this index.
    case noSuchExtent
    /// The pool has as many mappers as it was configured for, or those that are gone have left
    /// mappings behind (see ``BouncePool/leakReport()``).
    case tooManyMappers(maximum: Int)
    /// There is no area of this index.
    case noSuchArea(areaCount: Int)
    /// A quota of less than one slot.
    case invalidQuota
    /// The owner belongs to another pool.
    case foreignOwner
    /// No run of so many slots is free at such an alignment.
    case noSpace(slotCount: Int)
    /// A length or alignment of a coherent allocation that no pool of this geometry can serve.
    case impossibleAllocation
}

extension PoolError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsupportedGeometry:
            "slots are 512 to 65536 bytes, segments 64 to 4096 slots, both powers of two, and a "
                + "mapping takes 1 to 64 segments and at most 65535 slots"
        case .unsupportedConfiguration: "a limit of the pool's configuration is out of range"
        case .notWholeSegments(let bytes): "a window is whole segments of \(bytes) bytes"
        case .misalignedWindow(let bytes): "a window begins at a multiple of \(bytes) bytes"
        case .windowTooLarge:
            "the window does not fit into the address space, or has too many slots"
        case .extentLengthDiffers(let bytes): "an extent of this pool is \(bytes) bytes long"
        case .tooManyExtents(let maximum): "the pool has its \(maximum) extents"
        case .noSuchExtent: "the pool has no such extent"
        case .tooManyMappers(let maximum): "the pool has its \(maximum) mappers"
        case .noSuchArea(let count): "the pool has \(count) areas"
        case .invalidQuota: "a quota is one slot or more"
        case .foreignOwner: "the owner belongs to another pool"
        case .noSpace(let count): "no run of \(count) slots is free"
        case .impossibleAllocation: "no pool of this geometry can make such an allocation"
        }
    }
}
