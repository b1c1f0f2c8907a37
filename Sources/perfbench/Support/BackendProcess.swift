import CommandSupport
import FoundationEssentials
import Glibc
import SharedMemory
import SystemPackage
import VhostUser

/// A vhost-user backend in another process: a `bounced` of this run's own, or whoever serves a socket.
final class BackendProcess {
    private let socket: FilePath
    /// The process, where it could be learnt.
    private let pid: pid_t?
    /// Whether this run has started it, and ends it.
    private let isOwn: Bool
    /// Whether it has ended, and its number may be another's.
    private var isReaped = false
    /// What the socket is in, where it is this run's.
    private let directory: TemporaryDirectory?

    static let protocolFeatures: ProtocolFeatures = [.replyAcknowledgement, .configuration]

    private static let startMilliseconds = 10_000

    /// Uses a backend that is there.
    init(socket: FilePath) throws {
        self.socket = socket
        isOwn = false
        directory = nil
        pid = try Self.peer(of: socket)
    }

    /// Starts a `bounced`, which is looked for beside this program.
    ///
    /// - Parameter arguments: its command, and that one's options but for the socket.
    init(running arguments: [String]) throws {
        let program = Programs.directory.appending("bounced")
        guard FileManager.default.isExecutableFile(atPath: program.string) else {
            throw CommandFailure(
                .unavailable,
                "\(program) is not there; build it with 'swift build -c release --product bounced', or "
                    + "name a backend's --socket")
        }
        let directory = try TemporaryDirectory()
        socket = directory.path.appending("socket")
        self.directory = directory
        isOwn = true
        pid = try ChildProcess(
            [program.string] + arguments
                + ["--socket-path", socket.string, "--log-level", "warning"]
        ).pid
        try waitUntilServing()
    }

    deinit {
        guard isOwn, let pid else { return }
        var status: Int32 = 0
        if !isReaped {
            kill(pid, SIGTERM)
            // SAFETY: `status` is a local.
            _ = unsafe waitpid(pid, &status, 0)
        }
    }

    /// Connects to it.
    func connect() throws(VhostUserError) -> VhostUserFrontend {
        try VhostUserFrontend(connecting: socket)
    }

    /// Whether the process is there.
    var isAlive: Bool {
        guard let pid else { return true }
        guard isOwn else { return kill(pid, 0) == 0 }
        guard !isReaped else { return false }
        var status: Int32 = 0
        // SAFETY: `status` is a local.
        isReaped = unsafe waitpid(pid, &status, WNOHANG) != 0
        return !isReaped
    }

    /// What the process has used so far; nothing where the system does not tell.
    var cpuTime: CPUTime { pid.flatMap(CPUTime.init(ofProcess:)) ?? CPUTime(user: 0, system: 0) }

    private func waitUntilServing() throws {
        for _ in 0..<Self.startMilliseconds where isAlive {
            if (try? connect()) != nil { return }
            usleep(1000)
        }
        throw CommandFailure(.unavailable, "the backend that was started does not serve its socket")
    }

    /// The process that listens at a path.
    private static func peer(of path: FilePath) throws -> pid_t? {
        do {
            return try VhostUserFrontend(connecting: path).backendProcess
        } catch {
            throw CommandFailure(
                .noInput,
                "\(path) cannot be connected to (\(error)); start a backend there, or leave --socket out"
            )
        }
    }
}
