import ArgumentParser
import CommandSupport

/// What bouncing payloads through a window costs, next to not bouncing them.
@main
struct PerfBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perfbench",
        abstract: "Measures what bouncing I/O payloads through a shared window costs.",
        // Who mistypes a command is shown this alone.
        usage: "perfbench \(commandNames.joined(separator: "|")) <options>",
        discussion: ExitStatus.documentation, subcommands: commands)

    private static let commands: [any ParsableCommand.Type] = [
        BlockCommand.self, NetCommand.self, PoolCommand.self, NetGuestCommand.self,
        ReportCommand.self, BaselineCommand.self, CheckCommand.self, CompareCommand.self,
        ABCommand.self, DoctorCommand.self, ProbeCommand.self,
    ]

    private static var commandNames: [String] {
        commands.map { $0.configuration }.filter(\.shouldDisplay).compactMap(\.commandName)
    }
}
