/// The sizes that a pool is made of.
public struct PoolGeometry: Hashable, Sendable {
    /// Bytes of a slot, the unit of allocation (`IO_TLB_SIZE`).
    public let slotByteCount: Int
    /// Slots of a segment, which no mapping crosses (`IO_TLB_SEGSIZE`) unless
    /// ``segmentsPerMapping`` lets it.
    public let segmentSlotCount: Int
    /// Adjacent segments that one mapping may take. Linux has one, and devices that need longer
    /// runs than 256 KiB cannot work with it.
    public let segmentsPerMapping: Int

    /// Linux's: slots of 2 KiB, segments of 128 slots, a segment a mapping.
    public static let standard = PoolGeometry(
        checkedSlotByteCount: 2048, segmentSlotCount: 128, segmentsPerMapping: 1)

    /// - Parameters:
    ///   - slotByteCount: a power of two, 512 to 65536.
    ///   - segmentSlotCount: a power of two, 64 to 4096.
    ///   - segmentsPerMapping: 1 to 64; a mapping has at most 65535 slots.
    /// - Throws: ``PoolError/unsupportedGeometry`` for anything else.
    public init(
        slotByteCount: Int = 2048, segmentSlotCount: Int = 128, segmentsPerMapping: Int = 1
    ) throws(PoolError) {
        guard Self.isPowerOfTwo(slotByteCount), (512...65536).contains(slotByteCount),
            Self.isPowerOfTwo(segmentSlotCount), (64...4096).contains(segmentSlotCount),
            (1...64).contains(segmentsPerMapping), segmentSlotCount * segmentsPerMapping <= 65535
        else { throw .unsupportedGeometry }
        self.init(
            checkedSlotByteCount: slotByteCount, segmentSlotCount: segmentSlotCount,
            segmentsPerMapping: segmentsPerMapping)
    }

    private init(checkedSlotByteCount: Int, segmentSlotCount: Int, segmentsPerMapping: Int) {
        slotByteCount = checkedSlotByteCount
        self.segmentSlotCount = segmentSlotCount
        self.segmentsPerMapping = segmentsPerMapping
    }

    /// Bytes of a segment.
    public var segmentByteCount: Int { slotByteCount * segmentSlotCount }

    /// Slots that the longest run has.
    var runSlotCountMax: Int { segmentSlotCount * segmentsPerMapping }

    /// Buffers this long or longer are aligned to as much, where no constraint says otherwise.
    static let pageByteCount = 4096

    /// The longest buffer that an empty pool maps, wherever the buffer lies
    /// (`swiotlb_max_mapping_size`): the longest run, less what alignment may cost. 0 where no
    /// buffer can be mapped under such constraints.
    ///
    /// Areas and boundaries can make it less where a mapping may take several segments:
    /// ``BounceMapper/maximumMappingByteCount`` is what a mapper maps.
    public func maximumMappingByteCount(for constraints: DMAConstraints) -> Int {
        maximumMappingByteCount(for: constraints, runSlotCountMax: runSlotCountMax)
    }

    /// The same for runs of at most so many slots, whole segments.
    func maximumMappingByteCount(
        for constraints: DMAConstraints, runSlotCountMax: Int
    ) -> Int {
        let slotMask = slotByteCount - 1
        // Before they become signed: a mask of all ones would be -1.
        let segmentMask = UInt64(segmentByteCount - 1)
        guard constraints.minimumAlignmentMask <= segmentMask,
            constraints.allocationAlignmentMask <= segmentMask
        else { return 0 }
        let kept = Int(constraints.minimumAlignmentMask)
        let padded = Int(constraints.allocationAlignmentMask)
        var longest = runSlotCountMax * slotByteCount
        if constraints.boundaryMask < UInt64(longest) {
            // A mapping ends before the next multiple of the boundary, and takes whole slots.
            longest = max(Int(constraints.boundaryMask) + 1, slotByteCount)
        }
        // Pads make whole alignment units of a run; keeping bits moves the payload by up to the
        // mask.
        let padMask = padded | slotMask
        return max(longest & ~padMask - (kept + slotMask) & ~slotMask, 0)
    }

    private static func isPowerOfTwo(_ number: Int) -> Bool {
        number > 0 && number & (number - 1) == 0
    }
}
