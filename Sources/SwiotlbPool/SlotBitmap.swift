import BasicContainers
import Synchronization

/// Which slots are free: one bit a slot, two words a segment, in private memory.
///
/// The bitmap is the truth and the only shared state of the allocator. A run is claimed by one
/// compare-and-swap where it lies in one word, by two where it lies across both; it is found by shifts
/// and ands over a segment, never by walking slots. Any thread may call anything at any time; no call
/// waits for another (a retry means that another thread got its slots).
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
    /// - Returns: the run's first slot in the segment, or `nil` where there is none.
    func claimLowest(segment: Int, count: Int, starts: UInt128) -> Int? {
        while true {
            let free = freeSlots(ofSegment: segment)
            guard free != 0 else { return nil }
            let candidates = Self.runStarts(in: free, count: count) & starts
            guard candidates != 0 else { return nil }
            let first = candidates.trailingZeroBitCount
            if claim(segment: segment, first: first, count: count) { return first }
        }
    }

    /// Claims a given run of a segment, if all of it is free.
    func claim(segment: Int, first: Int, count: Int) -> Bool {
        let mask = Self.mask(first: first, count: count)
        let low = UInt64(truncatingIfNeeded: mask)
        let high = UInt64(truncatingIfNeeded: mask >> 64)
        guard low == 0 || clear(low, inWord: segment * 2) else { return false }
        guard high == 0 || clear(high, inWord: segment * 2 + 1) else {
            if low != 0 { set(low, inWord: segment * 2) }
            return false
        }
        return true
    }

    /// Gives a claimed run back.
    ///
    /// Traps where a slot of it is free already: freed twice, or a mapping of another pool.
    func release(_ run: SlotRun) {
        let (segment, first) = run.first.quotientAndRemainder(dividingBy: Self.segmentSlotCount)
        let mask = Self.mask(first: first, count: run.count)
        let low = UInt64(truncatingIfNeeded: mask)
        let high = UInt64(truncatingIfNeeded: mask >> 64)
        if low != 0 { set(low, inWord: segment * 2) }
        if high != 0 { set(high, inWord: segment * 2 + 1) }
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
    static func runStarts(in free: UInt128, count: Int) -> UInt128 {
        // Each step ands the runs found so far with themselves, moved down by as much as is still
        // missing and at most by their own length: log2(count) steps.
        var starts = free
        var length = 1
        while length < count {
            let step = min(length, count - length)
            starts &= starts >> UInt128(step)
            length += step
        }
        return starts
    }

    private static func mask(first: Int, count: Int) -> UInt128 {
        // Smart shifts: 128 ones where count is 128.
        ~(~UInt128(0) << UInt128(count)) << UInt128(first)
    }

    /// Clears bits that must all be set, or changes nothing.
    private func clear(_ mask: UInt64, inWord index: Int) -> Bool {
        var old = words[index].load(ordering: .relaxed)
        while old & mask == mask {
            // Acquiring: pairs with `set`, so that the last owner's copies out of the slots are over.
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
