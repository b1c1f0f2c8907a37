import ArgumentParser
import CommandSupport
import FoundationEssentials

/// `perfbench baseline`: what checks compare with.
struct BaselineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "baseline", abstract: "Saves what 'perfbench check' compares with.",
        subcommands: [Save.self])

    /// `perfbench baseline save`.
    struct Save: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs the suite in several sessions, and keeps their medians.",
            discussion: """
                How much sessions differ decides what a check can see, so save on the machine that checks run \
                on, as busy as it is then; --append adds sessions of another hour or day.

                \(ExitStatus.documentation)
                """)

        @Argument(
            help: """
                A name, for .perfbench/NAME.json, or a file: anything with a slash or that ends in .json.
                """)
        var baseline: String

        @Option(help: "How many sessions, 1 to 100.")
        var sessions = 5

        @Flag(help: "Add to the sessions that the baseline has.")
        var append = false

        @OptionGroup var gate: GateOptions

        func validate() throws {
            guard sessions >= 1, sessions <= 100 else {
                throw ValidationError("--sessions must be 1 to 100")
            }
        }

        func run() throws {
            try reportingFailures {
                let path = Baseline.path(of: baseline)
                var saved = Baseline(machine: MachineFacts(), sessions: [])
                if append {
                    saved = try Baseline(contentsOf: path)
                    guard saved.machine.isLike(MachineFacts()) else {
                        throw CommandFailure(
                            .usage,
                            "\(path) is of another machine (\(saved.machine.cpu)); save another one here"
                        )
                    }
                }
                Interruption.install()
                let directory = try TemporaryDirectory()
                let build = try Build.current(directory)
                let run = GateRun([build], parts: gate.parts.items, runCount: gate.runs)
                for _ in 0..<sessions {
                    let measurements = try run.measure()
                    for (part, reason) in measurements.skipped {
                        StandardError.write("perfbench: without \(part.rawValue): \(reason)\n")
                    }
                    saved.sessions.append(
                        Baseline.Session(
                            date: Date.now.formatted(.iso8601), commit: build.commit,
                            medians: measurements.values[0].mapValues { Estimate($0).median }))
                    // After each, so that an interruption costs one session.
                    try saved.write(to: path)
                }
                print("\(path): \(saved.summary)")
            }
        }
    }
}

extension Baseline {
    /// What it is, for a person.
    var summary: String {
        let commit = sessions.last?.commit.map { " at \($0)" } ?? ""
        return "\(sessions.count) sessions until \(sessions.last?.date ?? "-")\(commit)"
    }
}
