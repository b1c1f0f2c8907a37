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
    /// How it has ended, where it has (`waitpid(2)`).
    private var exitStatus: Int32 = 0
    /// What the socket is in, where it is this run's.
    private let directory: TemporaryDirectory?
    /// What it says on standard error, where that is read.
    private let log: BackendLog?
    /// What of its drops was reported already (``newDrops()``).
    var reportedDrops: [String: Int] = [:]

    static let protocolFeatures: ProtocolFeatures = [.replyAcknowledgement, .configuration]

    private static let startMilliseconds = 10_000

    /// Uses a backend that is there.
    init(socket: FilePath) throws {
        self.socket = socket
        isOwn = false
        directory = nil
        log = nil
        pid = try Self.peer(of: socket)
    }

    /// Starts a `bounced`, which is looked for beside this program.
    ///
    /// - Parameters:
    ///   - arguments: its command, and that one's options but for the socket.
    ///   - readsLog: whether what it says is read instead of being shown as it comes (``newReport()``).
    init(running arguments: [String], readsLog: Bool = false) throws {
        let executable =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            ?? "./perfbench"
        let program = FilePath(executable).removingLastComponent().appending("bounced")
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
        log = readsLog ? try BackendLog(directory.path.appending("log")) : nil
        pid = try ChildProcess(
            [program.string] + arguments
                + ["--socket-path", socket.string, "--log-level", "warning"],
            standardError: log?.file
        ).pid
        try waitUntilServing()
    }

    deinit {
        guard isOwn, let pid else { return }
        if !isReaped {
            kill(pid, SIGTERM)
            // SAFETY: a property of this object, which nobody else has now.
            _ = unsafe waitpid(pid, &exitStatus, 0)
        }
        _ = log?.takeReport()
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
        // SAFETY: `exitStatus` lives for the call.
        isReaped = unsafe waitpid(pid, &exitStatus, WNOHANG) != 0
        return !isReaped
    }

    /// What the process has used so far; nothing where the system does not tell.
    var cpuTime: CPUTime { pid.flatMap(CPUTime.init(ofProcess:)) ?? CPUTime(user: 0, system: 0) }

    private func waitUntilServing() throws {
        for _ in 0..<Self.startMilliseconds where isAlive {
            if (try? connect()) != nil { return }
            usleep(1000)
        }
        if isReaped, let reason = log?.takeReason(), exitStatus & 0x7f == 0,
            let status = ExitStatus(rawValue: exitStatus >> 8 & 0xff)
        {
            throw CommandFailure(status, reason)
        }
        throw CommandFailure(.unavailable, "the backend that was started does not serve its socket")
    }

    /// Has the process print its statistics.
    ///
    /// - Returns: the lines; `nil` where it is not this run's, or what it says is not read.
    func newReport() throws -> [String]? {
        guard isOwn, let pid, let log else { return nil }
        // What was printed before is of no interest.
        _ = log.takeReport()
        guard isAlive, kill(pid, SIGUSR1) == 0 else {
            throw CommandFailure(.unavailable, "the backend is gone")
        }
        for _ in 0..<Self.startMilliseconds {
            let lines = log.takeReport()
            if !lines.isEmpty { return lines }
            usleep(1000)
        }
        throw CommandFailure(.unavailable, "the backend does not print its statistics on SIGUSR1")
    }

    /// The process that listens at a path.
    private static func peer(of path: FilePath) throws -> pid_t? {
        do {
            return try VhostUserFrontend(connecting: path).backendProcess
        } catch {
            throw CommandFailure(.noInput, "\(path) cannot be connected to (\(error))")
        }
    }
}
