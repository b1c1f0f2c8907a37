import BasicContainers
import Synchronization

/// Which segments may have a free run of 1, 2, 4, ... slots: what makes a search constant time.
///
/// One bit for each segment and class of lengths, grouped by shard (an area within an extent), so
/// that threads of different areas write different cache lines. A set bit may be out of date; a
/// clear one is not, once the threads that changed the segment have returned: a hint that says "none
/// here" while a run is free would make it unreachable.
///
/// **Orderings** (labels as in `Models/hints.pml`). H1: a release sets the bitmap's bits
/// (read-modify-write), then looks at the hint. H2: a failed search clears the hint
/// (read-modify-write), then looks at the bitmap again. All four are sequentially consistent, so one
/// of the two sees what the other did, and sets the hint.
final class SegmentHints: Sendable {
    private let words: RigidArray<Atomic<UInt64>>
    private let classCount: Int
    private let wordsPerClass: Int
    private let wordsPerShard: Int

    init(layout: PoolLayout) {
        classCount = Self.lengthClass(of: layout.geometry.segmentSlotCount) + 1
        wordsPerClass = (layout.segmentsPerShardMax + 63) / 64
        // Whole pairs of cache lines, and one pair between shards, wherever the memory begins.
        wordsPerShard = (classCount * wordsPerClass + 15) & ~15 + 16
        let count = wordsPerShard * layout.extentCountMax * layout.areaCount
        var words = RigidArray<Atomic<UInt64>>(capacity: count)
        for _ in 0..<count { words.append(Atomic(0)) }
        self.words = words
    }

    /// The largest class that runs of this length belong to: log2, rounded down.
    @inline(__always)
    static func lengthClass(of count: Int) -> Int {
        Int.bitWidth &- 1 &- count.leadingZeroBitCount
    }

    /// The highest class there is: a whole segment.
    var topClass: Int { classCount - 1 }

    /// Words of hints that a class has in a shard.
    var wordCount: Int { wordsPerClass }

    /// Which of 64 segments of a shard may have a run of a class.
    ///
    /// - Parameter index: bit 0 is segment 64 times this.
    @inline(__always)
    func word(_ index: Int, ofClass lengthClass: Int, inShard shard: Int) -> UInt64 {
        // A waiter's search comes after its heavy barrier: G2.
        words[shard &* wordsPerShard &+ lengthClass &* wordsPerClass &+ index]
            .load(ordering: .sequentiallyConsistent)
    }

    /// H1: says of a segment that it may have runs of up to a class.
    func set(upTo lengthClass: Int, segment: Int, inShard shard: Int) {
        let bit = UInt64(1) &<< UInt64(segment % 64)
        var index = shard * wordsPerShard + segment / 64
        for _ in 0...min(lengthClass, topClass) {
            if words[index].load(ordering: .sequentiallyConsistent) & bit == 0 {
                words[index].bitwiseOr(bit, ordering: .sequentiallyConsistent)
            }
            index += wordsPerClass
        }
    }

    /// H2: says of some of 64 segments that they have no run of a class; the caller looks again
    /// afterwards.
    func clear(_ segments: UInt64, index: Int, ofClass lengthClass: Int, inShard shard: Int) {
        words[shard &* wordsPerShard &+ lengthClass &* wordsPerClass &+ index].bitwiseAnd(
            ~segments, ordering: .sequentiallyConsistent)
    }

    func contains(_ lengthClass: Int, segment: Int, inShard shard: Int) -> Bool {
        let index = shard * wordsPerShard + lengthClass * wordsPerClass + segment / 64
        return words[index].load(ordering: .relaxed) >> UInt64(segment % 64) & 1 == 1
    }
}
