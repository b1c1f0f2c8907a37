import ArgumentParser
import CommandSupport

/// `perfbench check`: this build against a baseline.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compares this build with a baseline that was saved before.",
        discussion: """
            Runs the suite once, and once more where something looks changed. A ratio has changed where its \
            median is none that a further session of the baseline would have had (a prediction interval over \
            its sessions, p < 0.01), by more than the noise floor, both times. Instructions are exact. On \
            another machine only what travels is compared.

            \(ExitStatus.gateDocumentation)
            """)

    @Option(help: "The baseline: a name that it was saved by, or a file.")
    var baseline: String

    @OptionGroup var gate: GateOptions
    @OptionGroup var output: GateOutput

    func run() throws {
        try reportingFailures {
            let path = Baseline.path(of: baseline)
            let saved = try Baseline(contentsOf: path)
            Interruption.install()
            let directory = try TemporaryDirectory()
            let build = try Build.current(directory)
            let machine = MachineFacts()
            var report = GateReport(
                "check", before: "\(path), \(saved.summary)",
                after: ["this build", build.commit].compactMap { $0 }.joined(separator: " at "))
            if !saved.machine.isLike(machine) {
                report.notes.append(
                    "Another machine than the baseline's (\(saved.machine.cpu), "
                        + "\(saved.machine.processors) processors): only what travels is compared.")
            }
            let failure = try GateRun([build], parts: gate.parts.items, runCount: gate.runs)
                .compare(into: &report) { measurements, notCompared in
                    measurements.sessionFindings(
                        against: saved, on: machine, notCompared: &notCompared)
                }
            try output.finish(report, failure)
        }
    }
}
