/// How the buffers of a device must lie (`struct device_dma_parameters`, and the alignment argument
/// of `swiotlb_tbl_map_single`). Each mask is a power of two less one.
public struct DMAConstraints: Hashable, Sendable {
    /// Address bits that a mapping keeps: `deviceRange.address & mask == buffer.address & mask`
    /// (`dma_set_min_align_mask`; 4095 for NVMe).
    public let minimumAlignmentMask: UInt64
    /// Address bits that are zero where the mapping's slots begin. With a mask of a page less one,
    /// say, no two mappings share a page: the slots around a payload are pads and belong to it.
    public let allocationAlignmentMask: UInt64
    /// A mapping does not cross a multiple of this mask plus one (`dma_set_seg_boundary`); all ones
    /// for none. Below a slot's size it counts as a slot's size, as in Linux.
    public let boundaryMask: UInt64

    /// Masks that the pool's geometry cannot serve make every map fail with
    /// ``MapRefusal/alignmentImpossible``.
    ///
    /// - Precondition: each mask is a power of two less one.
    public init(
        minimumAlignmentMask: UInt64 = 0, allocationAlignmentMask: UInt64 = 0,
        boundaryMask: UInt64 = .max
    ) {
        precondition(
            minimumAlignmentMask & (minimumAlignmentMask &+ 1) == 0
                && allocationAlignmentMask & (allocationAlignmentMask &+ 1) == 0
                && boundaryMask & (boundaryMask &+ 1) == 0,
            "an alignment mask is a power of two less one")
        self.minimumAlignmentMask = minimumAlignmentMask
        self.allocationAlignmentMask = allocationAlignmentMask
        self.boundaryMask = boundaryMask
    }
}

/// What one mapping needs of the pool: how many slots in a row, where they may begin, and how far
/// into the first of them the payload does.
struct SlotRequest: Hashable, Sendable {
    /// Slots in a row, pads included.
    let slotCount: Int
    /// From the start of the first slot to the payload, in bytes.
    let offset: Int
    /// A run begins at a slot whose number is `residue` modulo `stride`, a power of two.
    let stride: Int
    let residue: Int
    /// A run does not cross a multiple of so many slots, a power of two or `Int.max`, counted from
    /// device address 0, where slot 0 of the pool is number `base`.
    let boundary: Int
    let base: Int

    init(
        slotCount: Int, offset: Int = 0, stride: Int = 1, residue: Int = 0, boundary: Int = .max,
        base: Int = 0
    ) {
        self.slotCount = slotCount
        self.offset = offset
        self.stride = stride
        self.residue = residue
        self.boundary = boundary
        self.base = base
    }

    /// - Parameters:
    ///   - address: where the buffer is in private memory.
    ///   - byteCount: at most the geometry's maximum for the constraints.
    @inline(__always)
    init(address: UInt64, byteCount: Int, placement: Placement) {
        let slotMask = placement.slotMask
        let shift = placement.slotShift
        guard placement.isConstrained else {
            // A page or more is page aligned where nobody asked for anything else, as in Linux
            // (`swiotlb_search_pool_area`), but not padded.
            self.init(
                slotCount: (byteCount &+ slotMask) &>> shift,
                stride: byteCount >= PoolGeometry.pageByteCount ? placement.pageStride : 1)
            return
        }
        let kept = placement.kept
        let padded = placement.padded
        // Kept bits within the aligned start move the payload into it, higher ones choose the
        // start.
        let address = Int(truncatingIfNeeded: address) & kept
        let offset = address & (padded | slotMask)
        let total = (byteCount &+ offset &+ padded) & ~padded
        let isPageAligned = padded | kept == 0 && byteCount >= PoolGeometry.pageByteCount
        let startMask = isPageAligned ? PoolGeometry.pageByteCount - 1 : padded
        self.init(
            slotCount: (total &+ slotMask) &>> shift, offset: offset,
            stride: (((kept | startMask) & ~slotMask) &>> shift) &+ 1,
            residue: (address & ~startMask & ~slotMask) &>> shift, boundary: placement.boundary,
            base: placement.base)
    }

    /// The same with more slots in a row, and the pads that such a run has.
    func lengthened(to slotCount: Int, _ placement: Placement) -> SlotRequest {
        let pads = placement.padded &>> placement.slotShift
        return SlotRequest(
            slotCount: (slotCount + pads) & ~pads, offset: offset, stride: stride, residue: residue,
            boundary: boundary, base: base)
    }

    /// Whether a run may begin at this slot.
    @inline(__always)
    func allows(_ slot: Int) -> Bool {
        (slot &- residue) & (stride &- 1) == 0
            && (boundary == .max || (slot &+ base) & (boundary &- 1) &+ slotCount <= boundary)
    }

    /// The first slot at or after `slot` where a run may begin.
    func firstStart(from slot: Int) -> Int {
        let aligned = slot &+ ((residue &- slot) & (stride &- 1))
        if allows(aligned) { return aligned }
        let next = ((aligned &+ base) | (boundary &- 1)) &+ 1 &- base
        return next &+ ((residue &- next) & (stride &- 1))
    }

    /// Which slots of a word may begin a run that ends in the same word.
    ///
    /// - Parameter slot: the first slot of the word, a multiple of 64.
    @inline(__always)
    func starts(inWordAt slot: Int) -> UInt64 {
        if stride == 1, boundary == .max { return .max }
        var pattern: UInt64
        if stride >= 64 {
            let first = (residue &- slot) & (stride &- 1)
            pattern = first < 64 ? 1 &<< UInt64(first) : 0
        } else {
            // Ones at every multiple of the stride: all ones divided by 2^stride - 1. Pages of the
            // standard geometry, the ordinary case, without the division.
            let multiples =
                stride == 2 ? 0x5555_5555_5555_5555 : UInt64.max / ((1 &<< UInt64(stride)) &- 1)
            pattern = multiples &<< UInt64(residue & (stride &- 1))
        }
        if boundary < 64 {
            var inside = UInt64(0)
            for bit in 0..<64 where bit & (boundary - 1) + slotCount <= boundary {
                inside |= 1 << UInt64(bit)
            }
            pattern &= inside
        }
        return pattern
    }
}

/// A mapper's constraints in the terms of its pool's geometry.
struct Placement: Hashable, Sendable {
    let slotMask: Int
    let slotShift: Int
    let kept: Int
    let padded: Int
    let boundary: Int
    let base: Int
    /// The distance in slots between page-aligned slots.
    let pageStride: Int
    let isConstrained: Bool

    init(_ constraints: DMAConstraints, _ geometry: PoolGeometry, base: Int) {
        self.base = base
        slotMask = geometry.slotByteCount - 1
        slotShift = geometry.slotByteCount.trailingZeroBitCount
        kept = Int(truncatingIfNeeded: constraints.minimumAlignmentMask)
        padded = Int(truncatingIfNeeded: constraints.allocationAlignmentMask)
        let boundaryBytes = constraints.boundaryMask
        // A boundary that no run of this geometry can reach from an aligned start says nothing.
        boundary =
            boundaryBytes >= 1 << 62 ? .max : max(Int(boundaryBytes >> UInt64(slotShift)) + 1, 1)
        pageStride = max(PoolGeometry.pageByteCount / geometry.slotByteCount, 1)
        isConstrained = kept != 0 || padded != 0 || boundary != .max
    }
}
