import ArgumentParser
import CommandSupport
import SystemPackage

/// Serves devices to virtual machines over vhost-user.
struct Bounced: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bounced",
        abstract:
            "Serves virtio devices over vhost-user, from whatever part of memory it is given.",
        discussion: ExitStatus.documentation,
        subcommands: [BlkCommand.self, NetCommand.self])
}

@main
enum Main {
    private static let commands:
        [(name: String, command: any ParsableCommand.Type, capabilities: String)] = [
            ("blk", BlkCommand.self, BlkCommand.capabilities),
            ("net", NetCommand.self, NetCommand.capabilities),
        ]

    /// A management program runs a backend by its path alone, so the program answers to the name of
    /// each device as well: as `bounced-blk` it is `bounced blk`.
    static func main() {
        let program = FilePath(CommandLine.arguments.first ?? "").lastComponent?.string ?? ""
        let arguments = CommandLine.arguments.dropFirst()
        let named = commands.first { program == "bounced-\($0.name)" }
        // With it the specification has a program ignore all others, wrong ones too.
        if let command = named ?? commands.first(where: { $0.name == arguments.first }),
            arguments.contains("--print-capabilities")
        {
            print(command.capabilities)
        } else if let named {
            named.command.main()
        } else {
            Bounced.main()
        }
    }
}
