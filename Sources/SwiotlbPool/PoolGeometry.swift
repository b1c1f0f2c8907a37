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

    /// The longest buffer that can be mapped under any load, wherever it lies
    /// (`swiotlb_max_mapping_size`): a segment, less what keeping address bits may cost.
    public static func maximumMappingByteCount(for constraints: DMAConstraints) -> Int {
        let slotMask = slotByteCount - 1
        let kept = min(constraints.minimumAlignmentMask, UInt64(segmentByteCount))
        let most = segmentByteCount - (Int(kept) + slotMask) & ~slotMask
        return max(most, 0)
    }
}
