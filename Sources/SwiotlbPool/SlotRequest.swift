/// How the buffers of a device must lie (`struct device_dma_parameters` and the alignment argument
/// of `swiotlb_tbl_map_single`). Both masks are powers of two less one.
public struct DMAConstraints: Hashable, Sendable {
    /// Address bits that a mapping keeps: `deviceRange.address & mask == buffer.address & mask`
    /// (`dma_set_min_align_mask`; 4095 for NVMe).
    public var minimumAlignmentMask: UInt64
    /// Address bits that are zero where the mapping's slots begin. With a mask of a page less one,
    /// say, no two mappings share a page: the slots around a payload are pads and belong to it.
    public var allocationAlignmentMask: UInt64

    /// - Precondition: each mask is a power of two less one, and below a segment's size.
    public init(minimumAlignmentMask: UInt64 = 0, allocationAlignmentMask: UInt64 = 0) {
        precondition(
            minimumAlignmentMask & (minimumAlignmentMask &+ 1) == 0
                && allocationAlignmentMask & (allocationAlignmentMask &+ 1) == 0,
            "an alignment mask is a power of two less one")
        precondition(
            max(minimumAlignmentMask, allocationAlignmentMask)
                < UInt64(PoolGeometry.segmentByteCount), "an alignment is smaller than a segment")
        self.minimumAlignmentMask = minimumAlignmentMask
        self.allocationAlignmentMask = allocationAlignmentMask
    }
}

/// What one mapping needs of the pool: how many slots in a row, where they may begin, and how far
/// into the first of them the payload does.
struct SlotRequest {
    /// Slots in a row, pads included.
    let slotCount: Int
    /// From the start of the first slot to the payload, in bytes.
    let offset: Int
    /// A run begins at a slot whose number is `residue` modulo `stride`, a power of two.
    let stride: Int
    let residue: Int

    /// - Parameter address: where the buffer is in private memory.
    init(address: UInt64, byteCount: Int, constraints: DMAConstraints) {
        let slotMask = UInt64(PoolGeometry.slotByteCount - 1)
        let slotByteCount = UInt64(PoolGeometry.slotByteCount)
        let keptMask = constraints.minimumAlignmentMask
        let paddedMask = constraints.allocationAlignmentMask
        // Kept bits within the aligned start move the payload into it, higher ones choose the
        // start.
        offset = Int(address & keptMask & (paddedMask | slotMask))
        let total = (UInt64(byteCount + offset) + paddedMask) & ~paddedMask
        // A page or more is page aligned where nobody asked for anything else, as in Linux
        // (`swiotlb_search_pool_area`), but not padded.
        let isPageAligned =
            paddedMask == 0 && keptMask == 0 && byteCount >= PoolGeometry.pageByteCount
        let startMask = isPageAligned ? UInt64(PoolGeometry.pageByteCount - 1) : paddedMask
        slotCount = Int((total + slotMask) / slotByteCount)
        let chosenMask = (keptMask | startMask) & ~slotMask
        stride = Int(chosenMask / slotByteCount) + 1
        residue = Int((address & keptMask & ~startMask & ~slotMask) / slotByteCount)
    }

    /// Where in a segment a run may begin.
    ///
    /// - Parameter slotNumber: the number of the segment's first slot, counted from device address
    ///   0.
    func starts(inSegmentAt slotNumber: Int) -> UInt128 {
        if stride == 1 { return .max }
        let first = (residue &- slotNumber) & (stride &- 1)
        var pattern = UInt128(1) << UInt128(first)
        var step = stride
        while step < SlotBitmap.segmentSlotCount {
            pattern |= pattern << UInt128(step)
            step *= 2
        }
        return pattern
    }
}
