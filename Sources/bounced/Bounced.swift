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
        subcommands: [BlkCommand.self])
}

@main
enum Main {
    /// A management program runs a backend by its path alone, so the program answers to the name of
    /// each device as well: as `bounced-blk` it is `bounced blk`.
    static func main() {
        let program = FilePath(CommandLine.arguments.first ?? "").lastComponent?.string ?? ""
        let arguments = CommandLine.arguments.dropFirst()
        let isBlock = program == "bounced-blk" || arguments.first == "blk"
        // With it the specification has a program ignore all others, wrong ones too.
        if isBlock, arguments.contains("--print-capabilities") {
            print(BlkCommand.capabilities)
        } else if program == "bounced-blk" {
            BlkCommand.main()
        } else {
            Bounced.main()
        }
    }
}
