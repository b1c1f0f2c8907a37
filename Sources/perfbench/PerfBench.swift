import ArgumentParser
import CommandSupport

/// What bouncing payloads through a window costs, next to not bouncing them.
@main
struct PerfBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perfbench",
        abstract: "Measures what bouncing I/O payloads through a shared window costs.",
        discussion: ExitStatus.documentation,
        subcommands: [
            BlockCommand.self, NetCommand.self, PoolCommand.self, BaselineCommand.self,
            CheckCommand.self, CompareCommand.self, ABCommand.self, NetGuestCommand.self,
            ProbeCommand.self,
        ])
}
