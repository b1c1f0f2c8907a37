import Testing

@testable import perfbench

@Suite struct EstimateTests {
    @Test func `the median of an odd and of an even number of samples`() {
        #expect(Estimate([5, 1, 3]).median == 3)
        #expect(Estimate([4, 1, 3, 2]).median == 2.5)
    }

    // Conover's table of the binomial distribution: ranks of the 95 % interval of a median.
    @Test(arguments: [
        (1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (15, 3), (20, 5), (25, 7),
        (50, 17), (100, 39),
        // By the normal distribution, which is exact enough there.
        (1000, 468), (1075, 504), (10_000, 4901),
    ])
    func `the interval leaves out as many samples as 95 % coverage allows`(count: Int, trim: Int) {
        #expect(Estimate.trim(count) == trim)
    }

    @Test func `the interval is made of samples, in any order`() {
        let estimate = Estimate([9, 2, 7, 4, 5, 6, 3, 8, 1])
        #expect(estimate.low == 2)
        #expect(estimate.high == 8)
    }

    @Test func `the interval covers the median about as often as it says`() {
        // 4000 experiments of 15 samples each, of a skewed distribution whose median is 0.25.
        var random = SplitMix64(seed: 7)
        var covered = 0
        for _ in 0..<4000 {
            let samples = (0..<15).map { _ in
                let uniform = Double(random.next() >> 11) / Double(1 << 53)
                return uniform * uniform
            }
            let estimate = Estimate(samples)
            if estimate.low <= 0.25, 0.25 <= estimate.high { covered += 1 }
        }
        // The exact coverage for 15 samples is 96.5 %; four standard deviations are 1.2 %.
        #expect((3812...3908).contains(covered))
    }
}
