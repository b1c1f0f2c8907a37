import ArgumentParser
import CommandSupport
import Logging
import SystemPackage
import VhostUser
import Virtqueue

/// What is asked of every kind of device: where frontends come from, and how they are served.
struct ServeOptions: ParsableArguments {
    @Option(help: "Unix socket to listen on.")
    var socketPath: String?

    @Option(
        help: "Descriptor of a socket that this process was started with, listening or connected.")
    var fd: Int32?

    @Option(help: "Descriptors of a queue at most: a power of two, 2 to 32768.")
    var queueSize = 1024

    @Option(
        help: ArgumentHelp(
            "How long an idle queue looks for work before it sleeps, at most; 0 not at all. "
                + "(default: 32 for blk, 8 for net)"))
    var pollMicroseconds: Int?

    @Option(
        help: """
            What is said on standard error, from this level on: trace, debug, info, notice, warning, \
            error or critical.
            """, transform: level)
    var logLevel = Logger.Level.info

    // Answered before anything else is looked at: see `Main`.
    @Flag(help: "Print what this program can do, as JSON, and exit.")
    var printCapabilities = false

    func validate() throws {
        guard (socketPath == nil) != (fd == nil) else {
            throw ValidationError("name one socket, by --socket-path or by --fd")
        }
        if socketPath == "" { throw ValidationError("--socket-path is empty") }
        if let fd, fd < 0 { throw ValidationError("--fd \(fd) is no descriptor") }
        guard queueSize >= 2, QueueConfiguration.isValid(size: queueSize) else {
            throw ValidationError("--queue-size \(queueSize) is no power of two from 2 to 32768")
        }
        if let pollMicroseconds, !(0...1_000_000).contains(pollMicroseconds) {
            throw ValidationError("--poll-microseconds \(pollMicroseconds) is not 0 to 1000000")
        }
    }

    private static func level(_ text: String) throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: text) else {
            throw ValidationError("--log-level \(text) is no level")
        }
        return level
    }

    func makeLogger() -> Logger {
        var logger = Logger(
            label: "bounced", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = logLevel
        return logger
    }

    var socketName: String { socketPath ?? "descriptor \(fd ?? -1)" }

    func makeListener() throws -> VhostUserListener {
        do {
            if let fd { return try VhostUserListener(adopting: FileDescriptor(rawValue: fd)) }
            return try VhostUserListener(path: FilePath(socketPath ?? ""))
        } catch {
            throw CommandFailure(error, socket: socketName)
        }
    }

    static let discussion = """
        Frontends are served one after another. A frontend that breaks the protocol loses its \
        connection, a queue whose driver breaks the rules stops; each is said once in the log, on \
        standard error. SIGTERM and SIGINT end what is under way and exit; SIGUSR1 prints statistics \
        on standard error.

        \(ExitStatus.documentation)
        """
}
