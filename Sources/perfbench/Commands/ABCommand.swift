import ArgumentParser
import CommandSupport

/// `perfbench ab`: two builds in turn, in one session.
struct ABCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ab",
        abstract: "Compares two builds of perfbench, run in turn (A B B A ...).",
        discussion: """
            Both run the same short suite, each as often as --runs says, alternately; each pair of runs is one \
            observation. A metric has changed where the differences are more than its noise floor and more \
            than chance (a signed-rank test, p < 0.01), and where both hold of data measured anew. \
            Instructions are exact.

            \(ExitStatus.gateDocumentation)
            """)

    @Option(
        name: .customLong("a"),
        help: "What was: a perfbench, or the directory of the package it is built in.")
    var before: String

    @Option(name: .customLong("b"), help: "What is now, likewise.")
    var after: String

    @OptionGroup var gate: GateOptions
    @OptionGroup var output: GateOutput

    func run() throws {
        try reportingFailures {
            Interruption.install()
            let directory = try TemporaryDirectory()
            let builds = try [Build(before, directory), Build(after, directory)]
            try output.report {
                var report = GateReport("ab", before: before, after: after)
                let failure = try GateRun(builds, parts: gate.parts.items, runCount: gate.runs)
                    .compare(into: &report) { $0.pairJudgement() }
                return (report, failure)
            }
        }
    }
}
