import CommandSupport
import Foundation
import Testing

@testable import perfbench

@Suite struct GateTests {
    private static func measurements(_ before: [Double], _ after: [Double]) -> Measurements {
        var measurements = Measurements(buildCount: 2)
        for value in before { measurements.append(value, of: Metric(.sync), build: 0) }
        for value in after { measurements.append(value, of: Metric(.sync), build: 1) }
        return measurements
    }

    private static func finding(_ after: Double) throws -> Finding {
        try #require(measurements([100], [after]).pairJudgement().findings.first)
    }

    @Test func `a change has to be seen twice, the same way`() throws {
        for (second, verdict) in [(110.0, Verdict.regression), (100, .same), (90, .same)] {
            var finding = try Self.finding(110)
            #expect(finding.verdict == .regression)
            finding.confirm(by: try Self.finding(second))
            #expect(finding.verdict == verdict)
            #expect(finding.retest != nil)
        }
    }

    @Test func `a change that was not measured again is left open`() throws {
        var report = GateReport("ab", before: "a", after: "b")
        report.take(Self.measurements([100], [110]).pairJudgement())
        report.confirm(by: Judgement())
        report.conclude()
        #expect(report.verdict == .suspect)
        #expect(report.table.contains("suspect, not measured again"))
        let failure = #expect(throws: CommandFailure.self) { try report.end(nil) }
        #expect(failure?.status == .unavailable)
    }

    @Test func `the sentence of a change has metric, before, after, interval and rule`() throws {
        var finding = try Self.finding(110)
        finding.confirm(by: try Self.finding(111))
        #expect(
            finding.sentence
                == "instructions sync: worse, 100.0 to 110.0, 10.0 % [10.0 %, 10.0 %]; again 11.0 %; "
                + "by: exact counts, and more than 1.0 %")
    }

    @Test func `of a pair that was cut short nothing is said`() {
        let judgement = Self.measurements([100], []).pairJudgement()
        #expect(judgement.findings.isEmpty)
        #expect(judgement.missing == ["instructions sync"])
        #expect(judgement.notCompared == ["instructions sync": "only the first build has it"])
    }

    @Test func `of too few pairs, and of what has no logarithm, nothing is said`() throws {
        func judgement(_ values: [Double]) throws -> Judgement {
            let ratio = Ratio(
                workload: "pool", metric: "ns_per_op", of: "pool", to: "c-twin", op: .mapUnmap,
                blockBytes: 4096, median: 1, low: 1, high: 1)
            var measurements = Measurements(buildCount: 2)
            for value in values {
                measurements.append(value, of: try #require(Metric(ratio)), build: 0)
                measurements.append(value * 3, of: try #require(Metric(ratio)), build: 1)
            }
            return measurements.pairJudgement()
        }
        #expect(try judgement(Array(repeating: 1, count: 8)).findings.count == 1)
        let few = try judgement(Array(repeating: 1, count: 7))
        #expect(few.findings.isEmpty && few.missing.count == 1)
        #expect(few.notCompared.values.first == "7 pairs are too few for p < 0.01")
        let zero = try judgement([0] + Array(repeating: 1, count: 15))
        #expect(zero.notCompared.values.first == "a value is not above zero")
    }

    @Test(
        arguments: [
            ([110.0, 90.0, 100.0], 2), ([90, 100], 4), ([100, 100.5], 0), ([], 69),
        ] as [([Double], Int32)])
    func `the status is that of the worst finding`(after: [Double], status: Int32) throws {
        var report = GateReport("ab", before: "a", after: "b")
        for value in after {
            var finding = try Self.finding(value)
            finding.confirm(by: finding)
            report.findings.append(finding)
        }
        report.conclude()
        do {
            try report.end(nil)
            #expect(status == 0)
        } catch {
            #expect(error.status.rawValue == status)
        }
    }

    @Test func `an improvement does not hide what could not be told`() throws {
        var report = GateReport("ab", before: "a", after: "b")
        var finding = try Self.finding(90)
        finding.confirm(by: finding)
        report.findings = [finding]
        report.missing = 1
        report.conclude()
        let failure = #expect(throws: CommandFailure.self) { try report.end(nil) }
        #expect(failure?.status == .unavailable)
    }

    @Test func `a comparison that was cut short ends as that`() throws {
        var report = GateReport("ab", before: "a", after: "b")
        report.findings = [try Self.finding(110)]
        let failure = #expect(throws: CommandFailure.self) {
            try report.end(CommandFailure(.interrupted, "interrupted"))
        }
        #expect(failure?.status == .interrupted)
    }

    @Test func `every ratio of the suite has a rule, and its part`() throws {
        for part in SuitePart.allCases {
            guard let arguments = part.arguments(file: "") else { continue }
            #expect(part.measures(arguments[0] + " something"))
        }
        let ratio = Ratio(
            workload: "net", via: "virtqueue", metric: "cpu_ns_per_frame", of: "bounce",
            to: "direct", frameBytes: 1514, burst: 32, median: 1, low: 1, high: 1)
        let metric = try #require(Metric(ratio))
        #expect(metric.name == "net virtqueue 1514 ×32: cpu_ns_per_frame bounce / direct")
        #expect(metric.rule.isGated)
        #expect(SuitePart.net.measures(metric.name))
    }

    @Test(arguments: Probe.allCases) func `every probe runs`(probe: Probe) throws {
        try probe.run(count: 100)
    }
}
