import Testing

@testable import perfbench

@Suite struct RankSumTestTests {
    // Counted by hand: of the ways to choose the first set's ranks, those at least as far out, twice.
    @Test(
        arguments: [
            ([1, 2, 3], [4, 5, 6], 2.0 / 20), ([4, 5, 6], [1, 2, 3], 2.0 / 20),
            ([1, 2], [3, 4], 2.0 / 6),
            // Rank sums up to 4 out of pairs of 1 to 4: 1+2, 1+3.
            ([1, 3], [2, 4], 4.0 / 6), ([1, 1], [1, 1], 1), ([], [1], 1),
            ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 2.0 / 252),
        ] as [([Double], [Double], Double)])
    func `the probability is that of all ways to deal`(
        first: [Double], second: [Double], probability: Double
    ) {
        #expect((RankSumTest.probability(first, second) - probability).magnitude < 1e-12)
    }

    @Test(arguments: [(1, 1), (4, 4), (5, 5), (3, 12)])
    func `the least probability is that of sets that lie apart`(first: Int, second: Int) {
        let low = (0..<first).map { Double($0) }
        let high = (0..<second).map { Double(100 + $0) }
        let least = RankSumTest.leastProbability(first, second)
        #expect((RankSumTest.probability(low, high) - least).magnitude < 1e-12)
    }

    @Test func `many numbers are judged as few are`() {
        // 40 and 40 are exact, 41 and 41 approximate: one more each changes little.
        func probability(_ count: Int) -> Double {
            RankSumTest.probability(
                (0..<count).map { Double($0) }, (0..<count).map { Double($0) + 8.5 })
        }
        #expect(2 * 40 <= RankSumTest.exactCountMax && 2 * 41 > RankSumTest.exactCountMax)
        #expect((probability(40) / probability(41) - 1).magnitude < 0.2)
        #expect(probability(41) < 0.05 && probability(41) > 0.001)
    }
}
