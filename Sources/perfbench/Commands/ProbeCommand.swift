import ArgumentParser
import CommandSupport
import SharedMemory

/// `perfbench probe`: what instructions are counted of. For `check` and `ab`, which run it under valgrind.
struct ProbeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Runs a piece of the data path that only computes, so many times.",
        shouldDisplay: false)

    @Argument(help: "Which one.")
    var probe: Probe

    @Option(help: "How often.")
    var count = 1000

    func validate() throws {
        guard count >= 1 else { throw ValidationError("--count must be at least 1") }
    }

    func run() throws {
        try reportingFailures {
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
