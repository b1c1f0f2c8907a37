/// The sizes that a pool is made of, as in Linux.
public enum PoolGeometry {
    /// Bytes of a slot, the unit of allocation (`IO_TLB_SIZE`): 2 KiB.
    public static let slotByteCount = 2048
    /// Slots of a segment, which no mapping crosses (`IO_TLB_SEGSIZE`): 128.
    public static let segmentSlotCount = SlotBitmap.segmentSlotCount
    /// Bytes of a segment: 256 KiB.
    public static let segmentByteCount = slotByteCount * segmentSlotCount

    /// Buffers this long or longer are aligned to as much, where no constraint says otherwise.
    static let pageByteCount = 4096

    /// The longest buffer that an empty pool of so many slots maps, wherever the buffer lies
    /// (`swiotlb_max_mapping_size`): a segment, less what alignment may cost.
    public static func maximumMappingByteCount(
        for constraints: DMAConstraints, slotCount: Int = segmentSlotCount
    ) -> Int {
        let slotMask = slotByteCount - 1
        let padMask = Int(constraints.allocationAlignmentMask) | slotMask
        let longestRun = min(slotCount, segmentSlotCount) * slotByteCount
        // Pads make whole alignment units of a run; keeping bits moves the payload by up to the
        // mask.
        let kept = (Int(constraints.minimumAlignmentMask) + slotMask) & ~slotMask
        return max(longestRun & ~padMask - kept, 0)
    }
}
