import Glibc
import Testing

@testable import perfbench

@Suite struct EvidenceTests {
    static let cost = MetricRule(
        direction: .lowerIsBetter, noiseFloor: 0.05, sessionFloor: 0.1)
    static let rate = MetricRule(
        direction: .higherIsBetter, noiseFloor: 0.05, sessionFloor: 0.1)
    static let steady = (0..<12).map { 1 + 0.01 * Double($0 % 3) }

    private func verdict(
        _ before: [Double], _ after: [Double], _ rule: MetricRule = cost
    ) throws -> Verdict {
        try #require(Evidence.pairs(before, after, rule)).verdict(rule, floor: rule.noiseFloor)
    }

    @Test func `a change is what is larger than noise and no chance`() throws {
        let before = Self.steady
        #expect(try verdict(before, before) == .same)
        #expect(try verdict(before, before.map { $0 * 1.1 }) == .regression)
        #expect(try verdict(before, before.map { $0 / 1.1 }) == .improvement)
        // As sure as can be, and too small.
        #expect(try verdict(before, before.map { $0 * 1.04 }) == .same)
        // Large, and no more than a toss of coins: four of twelve pairs the other way.
        let mixed = before.enumerated().map { $0 % 3 == 0 ? $1 / 1.5 : $1 * 1.2 }
        #expect(try verdict(before, mixed) == .same)
        // One wild pair makes no change,
        #expect(try verdict(before, before.dropLast() + [9]) == .same)
        // and hides none, as often as suites are run.
        let often = (0..<15).map { 1 + 0.01 * Double($0 % 3) }
        #expect(try verdict(often, often.dropLast().map { $0 * 1.2 } + [0.1]) == .regression)
    }

    @Test func `of a rate more is better`() throws {
        let before = Self.steady
        #expect(try verdict(before, before.map { $0 * 1.1 }, Self.rate) == .improvement)
        #expect(try verdict(before, before.map { $0 / 1.1 }, Self.rate) == .regression)
    }

    @Test func `a change is printed as a part of what was`() throws {
        let evidence = try #require(
            Evidence.pairs(Self.steady, Self.steady.map { $0 * 1.25 }, Self.cost))
        #expect((evidence.change - 0.25).magnitude < 1e-9)
        #expect((evidence.after / evidence.before - 1.25).magnitude < 1e-9)
        #expect(evidence.low <= evidence.change && evidence.change <= evidence.high)
    }

    @Test func `differences are compared as they are, also around zero`() throws {
        let rule = MetricRule(
            direction: .lowerIsBetter, scale: .absolute, noiseFloor: 0.25, sessionFloor: 0.5)
        let before = (0..<12).map { -0.1 + 0.02 * Double($0 % 3) }
        #expect(try verdict(before, before.map { $0 + 0.3 }, rule) == .regression)
        #expect(try verdict(before, before.map { $0 + 0.2 }, rule) == .same)
        // Nothing below zero has a ratio.
        #expect(Evidence.pairs(before, before, Self.cost) == nil)
    }

    @Test func `a session is what the sessions before let one expect, or not`() throws {
        func verdict(_ sessions: [Double], _ now: Double) throws -> Verdict {
            try #require(
                Evidence.sessions(
                    sessions, now: Array(repeating: now, count: 12), Self.cost,
                    floor: Self.cost.sessionFloor)
            ).verdict(Self.cost, floor: Self.cost.sessionFloor)
        }
        let calm = [1.00, 1.01, 0.99, 1.00, 1.01]
        #expect(try verdict(calm, 1.02) == .same)
        #expect(try verdict(calm, 1.09) == .same)  // surely more, and below the floor
        #expect(try verdict(calm, 1.2) == .regression)
        #expect(try verdict(calm, 0.8) == .improvement)
        // Where sessions differ as much by themselves, the same says nothing.
        #expect(try verdict([1.0, 1.15, 0.88, 1.1, 0.95], 1.2) == .same)
    }

    @Test func `what a prediction allows is Student's interval`() throws {
        // By hand: logarithms 0, 0.1, 0.2; mean 0.1, deviation 0.1; one more of them deviates by
        // 0.1 sqrt(1 + 1/3), and t of 2 degrees at 1 % is 9.925.
        let sessions = [1, 1.105_170_918, 1.221_402_758]
        let evidence = try #require(
            Evidence.sessions(
                sessions, now: Array(repeating: 1.105_170_918, count: 12), Self.cost,
                floor: Self.cost.sessionFloor))
        #expect((evidence.high - 2.1457).magnitude < 0.001)
        // And seen twice, four times in five: 1.815 deviations more, the t of 2 degrees at 89.4 %.
        let deviation = 0.1 * (4.0 / 3).squareRoot()
        #expect((log(1 + evidence.detectable) - (9.925 + 1.815) * deviation).magnitude < 0.002)
    }

    @Test func `exact numbers need no luck`() {
        let rule = MetricRule.instructions
        func verdict(_ before: Double, _ after: Double) -> Verdict {
            Evidence.exact(before, after, rule).verdict(rule, floor: rule.noiseFloor)
        }
        #expect(verdict(1000, 1030) == .regression)
        #expect(verdict(1000, 1009) == .same)
        #expect(verdict(1000, 970) == .improvement)
    }

    @Test func `runs apart from each other are compared by all their rounds`() throws {
        func verdict(_ factor: Double) throws -> Verdict {
            try #require(
                Evidence.sets(Self.steady, Self.steady.map { $0 * factor }, Self.cost)
            ).verdict(Self.cost, floor: Self.cost.sessionFloor)
        }
        #expect(try verdict(1) == .same)
        #expect(try verdict(1.08) == .same)
        #expect(try verdict(1.2) == .regression)
    }

    @Test func `what is reported four times in five is that`() throws {
        // Pairs whose differences scatter like sines: what is said to be seen is found of most shifts.
        let differences = (0..<16).map { 0.1 * sin(Double($0) * 2.4) }
        let evidence = try #require(
            Evidence.pairs(Array(repeating: 1, count: 16), differences.map { exp($0) }, Self.cost))
        let half = (log(1 + evidence.high) - log(1 + evidence.low)) / 2
        // 2.576 + 1.250 standard errors, which are half the interval over 1.96.
        #expect((log(1 + evidence.detectable) - 3.826 * half / 1.96).magnitude < 1e-9)
        // Where there is no noise, the floor: half of all changes as large as it would be missed above.
        let steady = try #require(Evidence.pairs(Self.steady, Self.steady, Self.cost))
        #expect((steady.detectable - Self.cost.noiseFloor).magnitude < 1e-9)
    }

    @Test func `what can be detected grows with the interval`() {
        let narrow = Estimate(median: 1, low: 0.98, high: 1.02)
        let wide = Estimate(median: 1, low: 0.8, high: 1.2)
        // 3.418 standard errors of a difference: 0.02 / 1.96 of each.
        let detectable = narrow.detectable(roundCount: 12) ?? 0
        #expect((detectable - 3.418 * 0.02 / 1.96 * 2.0.squareRoot()).magnitude < 1e-9)
        #expect(((wide.detectable(roundCount: 12) ?? 0) / detectable - 10).magnitude < 1e-9)
        #expect(wide.detectable(roundCount: 5) == nil)
    }
}
