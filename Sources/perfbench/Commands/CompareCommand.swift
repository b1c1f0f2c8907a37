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
            try output.report {
                var report = GateReport(
                    "compare", before: "\(before), \(old.summary)",
                    after: "\(after), \(new.summary)", isRetested: false)
                report.notes = [
                    "From two runs apart from each other: no retest is possible, and what the machine did in"
                        + " between is in every change."
                ]
                for (name, file) in [(before, old), (after, new)] where !file.isComplete {
                    report.notes.append("\(name) is of a run that ended early.")
                }
                report.notes += old.settings.differences(from: new.settings)
                report.take(Self.judgement(old, new))
                report.conclude()
                return (report, nil)
            }
        }
    }

    static func judgement(_ before: Report<AnyRun>, _ after: Report<AnyRun>) -> Judgement {
        var judgement = Judgement()
        let names = Set(before.ratios.map(\.name))
        for ratio in after.ratios where !names.contains(ratio.name) {
            judgement.notCompared[ratio.name] = "only in the second file"
        }
        for ratio in before.ratios {
            guard let metric = Metric(ratio) else { continue }
            guard let other = after.ratios.first(where: { $0.name == ratio.name }) else {
                judgement.notCompared[ratio.name] = "only in the first file"
                continue
            }
            guard let old = ratio.ofRounds, let new = other.ofRounds else {
                judgement.notCompared[ratio.name] = "no values of rounds, which this version writes"
                continue
            }
            guard RankSumTest.leastProbability(old.count, new.count) < Evidence.level else {
                judgement.notCompared[ratio.name] =
                    "\(old.count) and \(new.count) rounds are too few for p < \(Evidence.level)"
                continue
            }
            guard let evidence = Evidence.sets(old, new, metric.rule) else {
                judgement.notCompared[ratio.name] = "a value is not above zero"
                continue
            }
            judgement.findings.append(
                Finding(
                    metric, evidence, floor: metric.rule.sessionFloor,
                    "rank-sum test of \(old.count) and \(new.count) rounds"))
        }
        return judgement
    }
}

/// What two results may differ in beside the program, for a person.
private struct Settings {
    var values: [(name: String, value: String)]

    func differences(from other: Settings) -> [String] {
        zip(values, other.values).filter { $0.value != $1.value }.map {
            "They are not of the same \($0.name): \($0.value) before, \($1.value) after."
        }
    }
}

extension Report {
    /// Where and when it was measured.
    fileprivate var summary: String { "\(host.cpu), Linux \(host.kernel), \(host.date)" }

    fileprivate var isComplete: Bool { !interrupted && failure == nil }
}

extension Report<AnyRun> {
    /// What names of ratios do not have in them.
    fileprivate var settings: Settings {
        func all(_ value: (AnyRun) -> String?) -> String {
            Set(runs.compactMap(value)).sorted().joined(separator: ", ")
        }
        return Settings(values: [
            ("processor", "\(host.cpu), \(host.processors) of them"),
            ("guest memory", "\(ByteSize(host.guestMemoryBytes)) in \(host.guestPages) pages"),
            ("window", "\(ByteSize(host.windowBytes)) in \(host.windowPages) pages"),
            (
                "storage",
                host.storage.map { $0.direct ? "O_DIRECT" : "through the page cache" } ?? "none"
            ),
            ("sink", all(\.sink)), ("direction", all(\.direction)),
        ])
    }
}
