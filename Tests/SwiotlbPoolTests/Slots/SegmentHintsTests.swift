import Testing

@testable import SwiotlbPool

@Suite struct SegmentHintsTests {
    /// Three areas of 70 segments each, so that a class has two words in each shard.
    private let layout = PoolLayout(
        geometry: .standard, extentByteCount: 210 << 18, extentCountMax: 2, areaCount: 3)

    @Test(arguments: [(1, 0), (2, 1), (3, 1), (4, 2), (7, 2), (64, 6), (127, 6), (128, 7)])
    func classOfALengthIsItsLogarithm(count: Int, lengthClass: Int) {
        #expect(SegmentHints.lengthClass(of: count) == lengthClass)
    }

    @Test func segmentIsFoundInEveryClassUpToItsLongestRun() {
        let hints = SegmentHints(layout: layout)
        #expect(hints.topClass == 7 && hints.wordCount == 2)
        hints.set(upTo: 3, segment: 69, inShard: 4)
        for lengthClass in 0...7 {
            for shard in 0..<6 {
                #expect(hints.word(0, ofClass: lengthClass, inShard: shard) == 0)
                #expect(
                    hints.word(1, ofClass: lengthClass, inShard: shard)
                        == (lengthClass <= 3 && shard == 4 ? 1 << 5 : 0))
            }
        }
        #expect(hints.contains(3, segment: 69, inShard: 4))
        #expect(!hints.contains(4, segment: 69, inShard: 4))
        #expect(!hints.contains(3, segment: 68, inShard: 4))
    }

    @Test func clearingSomeSegmentsOfAClassLeavesTheOthers() {
        let hints = SegmentHints(layout: layout)
        for segment in [3, 4, 67] { hints.set(upTo: 99, segment: segment, inShard: 0) }
        hints.clear(1 << 3 | 1 << 9, index: 0, ofClass: 5, inShard: 0)
        for lengthClass in 0...7 {
            #expect(
                hints.word(0, ofClass: lengthClass, inShard: 0)
                    == (lengthClass == 5 ? 1 << 4 : 0b11 << 3))
            #expect(hints.word(1, ofClass: lengthClass, inShard: 0) == 1 << 3)
        }
    }
}
