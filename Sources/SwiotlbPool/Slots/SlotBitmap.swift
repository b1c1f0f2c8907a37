import BasicContainers
import Synchronization

/// Which slots are free: one bit a slot, in private memory.
///
/// The bitmap is the truth of the allocator. Slots are claimed by one compare-and-swap a word. Runs are
/// found by shifts and ands over words, never by walking slots. Any thread may call anything at any
/// time; no call waits for another (a retry means that another thread got its slots).
///
/// **Orderings** (labels as in `Models/bitmap.pml`). B1: `release` sets bits with a releasing
/// read-modify-write, which pairs with B2: `claim` clears them, acquiring. So whatever the last
/// holder did to the slots is over before the next one begins.
final class SlotBitmap: Sendable {
    /// Bit n of word w is set while slot 64w + n is free.
    private let words: RigidArray<Atomic<UInt64>>

    /// All slots taken, or rather not there yet.
    init(slotLimit: Int) {
        var words = RigidArray<Atomic<UInt64>>(capacity: (slotLimit + 63) / 64)
        for _ in 0..<words.capacity { words.append(Atomic(0)) }
        self.words = words
    }

    /// The bits of a word.
    ///
    /// Sequentially consistent: with the read-modify-writes of `release` and of ``SegmentHints``
    /// that is what keeps hints from getting lost. A plain load on x86-64.
    @inline(__always)
    func word(_ index: Int) -> UInt64 {
        words[index].load(ordering: .sequentiallyConsistent)
    }

    /// Gives claimed slots back.
    ///
    /// Traps where a slot of them is free already.
    func release(_ run: SlotRun) {
        let bit = run.first & 63
        guard bit &+ run.count > 64 else {
            return set(Self.ones(run.count) &<< UInt64(bit), inWord: run.first &>> 6)
        }
        var slot = run.first
        while slot < run.end {
            let (word, mask) = Self.part(of: run, from: slot)
            set(mask, inWord: word)
            slot = (word + 1) * 64
        }
    }

    func isFree(_ slot: Int) -> Bool {
        word(slot / 64) >> UInt64(slot % 64) & 1 == 1
    }

    /// Claims the lowest run that a request allows and that lies within one word of a range.
    ///
    /// - Parameter slots: whole words.
    func claimWithinWord(of slots: Range<Int>, _ request: SlotRequest) -> Int? {
        for word in slots.lowerBound / 64..<slots.upperBound / 64 {
            var free = self.word(word)
            while free != 0 {
                var candidates = Self.runStarts(in: free, count: request.slotCount)
                guard candidates != 0 else { break }
                candidates &= request.starts(inWordAt: word &* 64)
                guard candidates != 0 else { break }
                let bit = candidates.trailingZeroBitCount
                let mask = Self.ones(request.slotCount) &<< UInt64(bit)
                if clear(mask, inWord: word) { return word * 64 + bit }
                free = self.word(word)
            }
        }
        return nil
    }

    /// Whether a range, of whole words, has a free run of at least so many slots.
    func hasRun(of count: Int, in slots: Range<Int>) -> Bool {
        if slots.upperBound &- slots.lowerBound == 128 {
            return hasRun(of: count, inPairAt: slots.lowerBound &>> 6)
        }
        var carry = 0
        for index in slots.lowerBound / 64..<slots.upperBound / 64 {
            let free = word(index)
            if free == .max {
                carry += 64
            } else {
                if carry + (~free).trailingZeroBitCount >= count { return true }
                if count <= 64, Self.runStarts(in: free, count: count) != 0 { return true }
                carry = (~free).leadingZeroBitCount
            }
            if carry >= count { return true }
        }
        return false
    }

    /// The same for two words: a segment of the standard geometry.
    @inline(__always)
    private func hasRun(of count: Int, inPairAt index: Int) -> Bool {
        let low = word(index)
        let high = word(index &+ 1)
        if (~low).leadingZeroBitCount &+ (~high).trailingZeroBitCount >= count { return true }
        guard count <= 64, low | high != 0 else { return false }
        return Self.runStarts(in: low, count: count) | Self.runStarts(in: high, count: count) != 0
    }

    /// The length of the free run around a run that was just released, within a range.
    ///
    /// The run itself counts as free, even where somebody has claimed a part of it again: what is
    /// left of it and its neighbours must not be without a hint.
    func freeRunLength(around run: SlotRun, within slots: Range<Int>) -> Int {
        if slots.upperBound &- slots.lowerBound == 128 {
            let index = slots.lowerBound &>> 6
            let free = UInt128(word(index &+ 1)) &<< 64 | UInt128(word(index))
            let begin = UInt128(truncatingIfNeeded: run.first &- slots.lowerBound)
            let end = begin &+ UInt128(truncatingIfNeeded: run.count)
            let below = begin == 0 ? 0 : (~(free &<< (128 &- begin))).leadingZeroBitCount
            let above = end == 128 ? 0 : (~(free &>> end)).trailingZeroBitCount
            return below &+ run.count &+ above
        }
        var first = run.first
        while first > slots.lowerBound {
            let bits = (first - 1) % 64 + 1
            let free = word((first - 1) / 64) << UInt64(64 - bits)
            let ones = min((~free).leadingZeroBitCount, bits)
            first -= ones
            if ones < bits { break }
        }
        var end = run.end
        while end < slots.upperBound {
            let bits = 64 - end % 64
            let free = word(end / 64) >> UInt64(end % 64)
            let ones = min((~free).trailingZeroBitCount, bits)
            end += ones
            if ones < bits { break }
        }
        return min(end, slots.upperBound) - max(first, slots.lowerBound)
    }

    /// The bits where a run of `count` set bits begins; 1 to 64.
    @inline(__always)
    static func runStarts(in free: UInt64, count: Int) -> UInt64 {
        // Each step ands the runs found so far with themselves, moved down by as much as is still
        // missing and at most by their own length: log2(count) steps.
        var starts = free
        var length = 1
        while length < count {
            let step = min(length, count &- length)
            starts &= starts &>> UInt64(truncatingIfNeeded: step)
            length &+= step
        }
        return starts
    }

    /// A word whose lowest `count` bits are set; 1 to 64.
    @inline(__always)
    private static func ones(_ count: Int) -> UInt64 {
        .max &>> UInt64(64 &- count)
    }

    /// The word of a slot, and the bits that a run has in it from that slot on.
    @inline(__always)
    static func part(of run: SlotRun, from slot: Int) -> (word: Int, mask: UInt64) {
        let bit = slot % 64
        let count = min(64 - bit, run.end - slot)
        return (slot / 64, ones(count) &<< UInt64(bit))
    }

    @inline(__always)
    private func set(_ mask: UInt64, inWord index: Int) {
        // B1.
        let old = words[index].bitwiseOr(mask, ordering: .sequentiallyConsistent).oldValue
        precondition(old & mask == 0, "a slot was freed twice")
    }

    /// Claims slots of a word that must all be free, or changes nothing.
    @inline(__always)
    func clear(_ mask: UInt64, inWord index: Int) -> Bool {
        var old = words[index].load(ordering: .relaxed)
        while old & mask == mask {
            // B2.
            let (exchanged, found) = words[index].weakCompareExchange(
                expected: old, desired: old & ~mask, successOrdering: .acquiring,
                failureOrdering: .relaxed)
            if exchanged { return true }
            old = found
        }
        return false
    }
}

/// A run of adjacent slots of a pool.
struct SlotRun: Equatable, Sendable {
    var first: Int
    var count: Int

    var end: Int { first + count }
}
