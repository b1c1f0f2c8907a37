import ArgumentParser
import CommandSupport

/// `perfbench compare`: results that were measured before.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compares two files of results, made with --format json.",
        discussion: """
            What both files have ratios of is compared, by the rounds of each: a rank-sum test, p < 0.01, and \
            more than the noise floor between sessions. What changed on the machine from one run to the other \
            is not told from what changed in the program, and nothing can be measured anew: for a decision, \
            use 'perfbench ab' or 'perfbench check'.

            \(ExitStatus.gateDocumentation)
            """)

    @Argument(help: "Results from before.")
    var before: String

    @Argument(help: "Results from after.")
    var after: String

    @OptionGroup var output: GateOutput

    func run() throws {
        try reportingFailures {
            let old = try Report<AnyRun>(contentsOf: before)
            let new = try Report<AnyRun>(contentsOf: after)
            var report = GateReport(
                "compare", before: "\(before), \(old.summary)", after: "\(after), \(new.summary)")
            report.notes = [
                "From two runs apart from each other: no retest is possible, and what the machine did in"
                    + " between is in every change."
            ]
            for (name, file) in [(before, old), (after, new)] where !file.isComplete {
                report.notes.append("\(name) is of a run that ended early.")
            }
            report.findings = Self.findings(old, new, &report.notCompared)
            report.conclude()
            try output.finish(report, nil)
        }
    }

    static func findings(
        _ before: Report<AnyRun>, _ after: Report<AnyRun>, _ notCompared: inout [String: String]
    ) -> [Finding] {
        let names = Set(before.ratios.map(\.name))
        for ratio in after.ratios where !names.contains(ratio.name) {
            notCompared[ratio.name] = "only in the second file"
        }
        return before.ratios.compactMap { ratio in
            guard let metric = Metric(ratio) else { return nil }
            guard let other = after.ratios.first(where: { $0.name == ratio.name }) else {
                notCompared[ratio.name] = "only in the first file"
                return nil
            }
            guard let old = ratio.ofRounds, let new = other.ofRounds else {
                notCompared[ratio.name] = "no values of rounds, which this version writes"
                return nil
            }
            guard let evidence = Evidence.sets(old, new, metric.rule) else { return nil }
            return Finding(
                metric, evidence, floor: metric.rule.sessionFloor,
                "rank-sum test of \(old.count) and \(new.count) rounds")
        }
    }
}

extension Report {
    /// Where and when it was measured.
    fileprivate var summary: String { "\(host.cpu), Linux \(host.kernel), \(host.date)" }

    fileprivate var isComplete: Bool { !interrupted && failure == nil }
}
