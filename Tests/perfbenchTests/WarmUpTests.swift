import Testing

@testable import perfbench

@Suite struct WarmUpTests {
    /// How many rounds are discarded of a path that costs so much in each.
    private func discarded(_ costs: [Double], of count: Int = 12) -> Int {
        var warmUp = WarmUp<Int>(countedRoundCount: count)
        for cost in costs where !warmUp.takes([0: cost]) { break }
        return warmUp.roundCount
    }

    @Test func `the first round is discarded, and the next while it got faster`() {
        #expect(discarded([10, 10, 10, 10]) == 1)
        #expect(discarded([20, 10, 10, 10]) == 2)
        #expect(discarded([40, 20, 10, 9.5, 9.5]) == 3)
        // By less than a tenth is no warm-up.
        #expect(discarded([10, 9.1, 9, 9]) == 1)
    }

    @Test func `what got slower is noise, and no reason to wait`() {
        #expect(discarded([10, 15, 8, 20]) == 1)
    }

    @Test func `no more than a quarter of what counts is waited for`() {
        let ever = (0..<20).map { 1000 / Double(1 << $0) }
        #expect(discarded(ever, of: 12) == 4)
        #expect(discarded(ever, of: 3) == 1)
        #expect(discarded(ever, of: 1) == 1)
    }

    @Test func `all paths have to be warm`() {
        var warmUp = WarmUp<Int>(countedRoundCount: 12)
        let taken = [[10.0, 40], [10, 20], [10, 19], [1, 1]].map {
            warmUp.takes([0: $0[0], 1: $0[1]])
        }
        // And stay it.
        #expect(taken == [true, true, false, false])
    }
}
