import Testing

@testable import perfbench

@Suite struct SignedRankTestTests {
    // Counted by hand: of the 2^n ways to give signs, those at least as one-sided, on either side.
    @Test(
        arguments: [
            ([1, 2, 3, 4, 5], 2.0 / 32), ([1, 2, 3, 4, 5, 6, 7, 8], 2.0 / 256),
            ([-1, -2, -3, -4, -5], 2.0 / 32),
            // Sums of negative ranks up to 4 out of 1, 2, 3, 4: {}, 1, 2, 3, 4, 1+2, 1+3.
            ([1, 2, 3, -4], 14.0 / 16),
            // Equal magnitudes all have the rank 2: at most one of three is negative.
            ([1, 1, -1], 1), ([1, 1, 1], 2.0 / 8),
            // Zeroes say nothing.
            ([0, 1, 2, 3, 0, 4, 5], 2.0 / 32), ([0, 0], 1), ([], 1),
        ] as [([Double], Double)])
    func `the probability is that of all ways to give signs`(
        differences: [Double], probability: Double
    ) {
        #expect((SignedRankTest.probability(differences) - probability).magnitude < 1e-12)
    }

    // Table of critical values (Conover, A12): the largest sum of the lesser ranks with p <= 0.01.
    @Test(arguments: [(10, 3), (12, 7), (15, 15), (20, 37)])
    func `the critical values are those of the tables`(count: Int, critical: Int) {
        func probability(lesserSum: Int) -> Double {
            var left = lesserSum
            let differences = (1...count).reversed().map { rank -> Double in
                guard rank <= left else { return Double(rank) }
                left -= rank
                return -Double(rank)
            }
            return SignedRankTest.probability(differences)
        }
        #expect(probability(lesserSum: critical) <= 0.01)
        #expect(probability(lesserSum: critical + 1) > 0.01)
    }

    @Test func `equal numbers share their mean rank`() {
        #expect(Ranks.doubled([30, 10, 20, 10]) == [8, 3, 6, 3])
    }
}
