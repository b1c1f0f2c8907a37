import ArgumentParser
import CommandSupport
import SharedMemory

/// `perfbench probe`: what instructions are counted of. For `check` and `ab`, which run it under valgrind.
struct ProbeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Runs pieces of the data path that only compute, each so many times.",
        shouldDisplay: false)

    @Argument(help: "Which ones, a list.")
    var probes = CommaList(Probe.allCases)

    @Option(help: "How often.")
    var count = 1000

    func validate() throws {
        guard count >= 1 else { throw ValidationError("--count must be at least 1") }
    }

    func run() throws {
        try reportingFailures {
            for probe in probes.items {
                do {
                    try probe.run(count: count)
                } catch let error as SystemCallError {
                    throw error
                } catch {
                    throw CommandFailure(.unavailable, "\(probe.rawValue) cannot be run: \(error)")
                }
            }
        }
    }
}
