import BasicContainers
import Synchronization

/// Which slots are free: one bit a slot, two words a segment, in private memory.
///
/// The bitmap is the truth and the only shared state of the allocator. A run is claimed by one
/// compare-and-swap where it lies in one word, by two where it lies across both; it is found by
/// shifts and ands over a segment, never by walking slots. Any thread may call anything at any
/// time; no call waits for another (a retry means that another thread got its slots).
final class SlotBitmap: Sendable {
    /// Slots of a segment: two words of bits (`IO_TLB_SEGSIZE`).
    static let segmentSlotCount = 128

    let slotCount: Int
    let segmentCount: Int

    /// Bit n of word w is set while slot 64w + n is free.
    private let words: RigidArray<Atomic<UInt64>>

    init(slotCount: Int) {
        self.slotCount = slotCount
        segmentCount = (slotCount + Self.segmentSlotCount - 1) / Self.segmentSlotCount
        var words = RigidArray<Atomic<UInt64>>(capacity: segmentCount * 2)
        for index in 0..<segmentCount * 2 {
            // Slots that the last segment has not got are never free.
            let present = min(max(slotCount - index * 64, 0), 64)
            words.append(Atomic(present == 64 ? .max : (1 << UInt64(present)) - 1))
        }
        self.words = words
    }

    /// Claims the lowest free run of a segment.
    ///
    /// - Parameter starts: the slots of the segment where a run may begin.
    /// - Returns: the number of the run's first slot, or `nil` where there is none.
    func claimLowest(segment: Int, count: Int, starts: UInt128) -> Int? {
        while true {
            let free = freeSlots(ofSegment: segment)
            // Less work, and the ordinary case: a run within the segment's first word.
            let lowCandidates =
                count > 64
                ? 0
                : Self.runStarts(in: UInt64(truncatingIfNeeded: free), count: count)
                    & UInt64(truncatingIfNeeded: starts)
            let offset: Int
            if lowCandidates != 0 {
                offset = lowCandidates.trailingZeroBitCount
            } else {
                let candidates = Self.runStarts(in: free, count: count) & starts
                guard candidates != 0 else { return nil }
                offset = candidates.trailingZeroBitCount
            }
            let run = SlotRun(first: segment * Self.segmentSlotCount + offset, count: count)
            if claim(run) { return run.first }
        }
    }

    /// Claims a given run, which lies within a segment, if all of it is free.
    ///
    /// A run across both words takes the one and then the other, and gives the first back where the
    /// second is not free: for that moment another thread may find too little free.
    func claim(_ run: SlotRun) -> Bool {
        let word = run.first / 64
        let bit = run.first % 64
        if bit + run.count <= 64 {
            return clear(Self.ones(run.count) &<< UInt64(bit), inWord: word)
        }
        let low = UInt64.max &<< UInt64(bit)
        guard clear(low, inWord: word) else { return false }
        guard clear(Self.ones(bit + run.count - 64), inWord: word + 1) else {
            set(low, inWord: word)
            return false
        }
        return true
    }

    /// Gives a claimed run back.
    ///
    /// Traps where a slot of it is free already: freed twice, or a mapping of another pool.
    func release(_ run: SlotRun) {
        let word = run.first / 64
        let bit = run.first % 64
        if bit + run.count <= 64 {
            set(Self.ones(run.count) &<< UInt64(bit), inWord: word)
        } else {
            set(.max &<< UInt64(bit), inWord: word)
            set(Self.ones(bit + run.count - 64), inWord: word + 1)
        }
    }

    /// The slots free now, and the longest run of them within one segment.
    ///
    /// A snapshot, word by word: exact while no other thread maps or unmaps.
    func measure() -> (freeSlotCount: Int, longestFreeRun: Int) {
        var freeSlotCount = 0
        var longest = 0
        for segment in 0..<segmentCount {
            let free = freeSlots(ofSegment: segment)
            freeSlotCount += free.nonzeroBitCount
            while longest < Self.segmentSlotCount, Self.runStarts(in: free, count: longest + 1) != 0
            {
                longest += 1
            }
        }
        return (freeSlotCount, longest)
    }

    /// The bits of a segment; bit n is set while its slot n is free.
    func freeSlots(ofSegment segment: Int) -> UInt128 {
        // Relaxed: a hint, which the compare-and-swap of `clear` confirms.
        let low = words[segment * 2].load(ordering: .relaxed)
        let high = words[segment * 2 + 1].load(ordering: .relaxed)
        return UInt128(high) << 64 | UInt128(low)
    }

    /// The bits where a run of `count` set bits begins.
    static func runStarts<Bits: FixedWidthInteger>(in free: Bits, count: Int) -> Bits {
        // Each step ands the runs found so far with themselves, moved down by as much as is still
        // missing and at most by their own length: log2(count) steps.
        var starts = free
        var length = 1
        while length < count {
            let step = min(length, count &- length)
            starts &= starts &>> Bits(truncatingIfNeeded: step)
            length &+= step
        }
        return starts
    }

    /// A word whose lowest `count` bits are set; 1 to 64.
    private static func ones(_ count: Int) -> UInt64 {
        .max &>> UInt64(64 &- count)
    }

    /// Clears bits that must all be set, or changes nothing.
    private func clear(_ mask: UInt64, inWord index: Int) -> Bool {
        var old = words[index].load(ordering: .relaxed)
        while old & mask == mask {
            // Acquiring: pairs with `set`, so that the last owner's copies out of the slots are
            // over.
            let (exchanged, found) = words[index].weakCompareExchange(
                expected: old, desired: old & ~mask, successOrdering: .acquiring,
                failureOrdering: .relaxed)
            if exchanged { return true }
            old = found
        }
        return false
    }

    /// Sets bits that must all be clear.
    private func set(_ mask: UInt64, inWord index: Int) {
        var old = words[index].load(ordering: .relaxed)
        while true {
            precondition(old & mask == 0, "a slot was freed twice, or by another pool's mapper")
            // Releasing: pairs with `clear`.
            let (exchanged, found) = words[index].weakCompareExchange(
                expected: old, desired: old | mask, successOrdering: .releasing,
                failureOrdering: .relaxed)
            if exchanged { return }
            old = found
        }
    }
}
