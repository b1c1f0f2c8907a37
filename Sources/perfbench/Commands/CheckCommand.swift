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
            try output.report {
                try Self.compare(
                    Build.current(directory), "this build", with: saved, from: "\(path)",
                    gate.parts.items, runCount: gate.runs)
            }
        }
    }

    /// Compares a build with a baseline.
    ///
    /// - Returns: also why the report is not complete, if it is not.
    static func compare(
        _ build: Build, _ name: String, with saved: Baseline, from path: String,
        _ parts: [SuitePart], runCount: Int
    ) throws -> (GateReport, CommandFailure?) {
        let machine = MachineFacts()
        var report = GateReport(
            "check", before: "\(path), \(saved.summary)",
            after: [name, build.commit].compactMap { $0 }.joined(separator: " at "))
        if !saved.machine.isLike(machine) {
            report.notes.append(
                "Another machine than the baseline's (\(saved.machine.cpu), "
                    + "\(saved.machine.processors) processors, huge pages "
                    + "\(saved.machine.transparentHugePages)): only what travels is compared.")
        }
        if saved.isOfOneHour {
            report.notes.append(
                "All sessions of the baseline are of one hour: how hours and days differ is not in it."
                    + " Add some of another with 'perfbench baseline save --append'.")
        }
        let failure = try GateRun([build], parts: parts, runCount: runCount)
            .compare(into: &report) {
                $0.sessionJudgement(of: parts, against: saved, on: machine)
            }
        return (report, failure)
    }
}
