import ArgumentParser
import CommandSupport
import FoundationEssentials
import SystemPackage

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
                let machine = MachineFacts()
                var saved = Baseline(machine: machine, sessions: [])
                if append {
                    saved = try Baseline(contentsOf: path)
                    guard saved.machine.isLike(machine), saved.machine.countsLike(machine) else {
                        throw CommandFailure(
                            .usage,
                            "\(path) is of another machine or compiler (\(saved.machine.cpu), Swift "
                                + "\(saved.machine.swift)); save another one here")
                    }
                }
                try Baseline.checkPlace(of: path)
                Interruption.install()
                let directory = try TemporaryDirectory()
                try Self.add(
                    sessions, of: Build.current(directory), gate.parts.items, runCount: gate.runs,
                    to: &saved, at: path)
                print("\(path): \(saved.summary)")
            }
        }

        /// Measures sessions, and saves them: each at once, so that an interruption costs one, but no
        /// baseline that checks could not use in place of one that they can.
        static func add(
            _ count: Int, of build: Build, _ parts: [SuitePart], runCount: Int,
            to saved: inout Baseline, at path: FilePath
        ) throws {
            let run = GateRun([build], parts: parts, runCount: runCount)
            for number in 1...count {
                let measurements = try run.measure()
                saved.sessions.append(
                    Baseline.Session(
                        date: Date.now.formatted(.iso8601), commit: build.commit,
                        medians: measurements.values[0].mapValues { Estimate($0).median }))
                if saved.sessions.count >= Baseline.sessionCountMin || number == count {
                    try saved.write(to: path)
                }
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
