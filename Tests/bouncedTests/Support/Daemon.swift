import Foundation
import Glibc
import SystemPackage
import TestSupport
import Testing

/// bounced as its users run it, on a file and a socket of its own.
final class Daemon {
    let process: Process
    let directory: String

    var socket: String { directory + "/socket" }
    var file: String { directory + "/disk" }
    var id: Int32 { process.processIdentifier }

    /// The executable that the build put beside this test.
    static let executable =
        Bundle.main.executableURL?.deletingLastPathComponent()
        .appendingPathComponent("bounced").path ?? ""

    static let fileByteCount = 1 << 20

    /// - Parameters:
    ///   - device: what kind it serves.
    ///   - arguments: `nil` for a socket, and a file for a disk, with `more` behind.
    ///   - prefix: a command that runs the program, which comes behind it.
    ///   - standardInput: what the daemon has as descriptor 0.
    init(
        _ arguments: [String]? = nil, device: String = "blk", more: [String] = [],
        program: String? = nil, prefix: [String] = [], standardInput: FileDescriptor? = nil
    ) throws {
        directory = NSTemporaryDirectory() + "bounced-test-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        _ = FileManager.default.createFile(
            atPath: directory + "/disk", contents: Data(repeating: 0, count: Self.fileByteCount))
        process = Process()
        var executable = Self.executable
        if let program {
            executable = directory + "/" + program
            try FileManager.default.createSymbolicLink(
                atPath: executable, withDestinationPath: Self.executable)
        }
        let disk = ["--blk-file", directory + "/disk", "--buffered"]
        let usual = ["--socket-path", directory + "/socket"] + (device == "blk" ? disk : [])
        let words =
            prefix + [executable] + (program == nil ? [device] : []) + (arguments ?? usual) + more
        process.executableURL = URL(fileURLWithPath: words[0])
        process.arguments = Array(words.dropFirst())
        // Files: nobody reads a pipe meanwhile, and a full one stops who writes.
        process.standardError = try Self.newFile(directory + "/complaint")
        process.standardOutput = try Self.newFile(directory + "/output")
        process.standardInput =
            standardInput.map { FileHandle(fileDescriptor: $0.rawValue, closeOnDealloc: false) }
            ?? FileHandle.nullDevice
        try process.run()
    }

    private static func newFile(_ path: String) throws -> FileHandle {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        guard let file = FileHandle(forWritingAtPath: path) else {
            throw DaemonFailure(description: "\(path) cannot be made")
        }
        return file
    }

    deinit {
        if process.isRunning { kill(id, SIGKILL) }
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Waits until it listens: its socket is there a little earlier.
    func waitForSocket() throws {
        for _ in 0..<1000 {
            if try isListening { return }
            guard process.isRunning else { break }
            usleep(10_000)
        }
        throw DaemonFailure(description: "bounced does not listen: \(try finish().complaint)")
    }

    /// Whether its socket takes connections: it has its name somewhat earlier (proc_net(5), `unix`).
    private var isListening: Bool {
        get throws {
            let sockets = try String(contentsOfFile: "/proc/net/unix", encoding: .utf8)
            return sockets.split(separator: "\n").contains {
                $0.hasSuffix(" " + socket) && $0.contains(" 00010000 ")
            }
        }
    }

    struct Outcome {
        var status: Int32
        var output: String
        var complaint: String
    }

    /// Waits for its end.
    func finish() throws -> Outcome {
        process.waitUntilExit()
        let text = try Data(contentsOf: URL(fileURLWithPath: directory + "/output"))
        return Outcome(
            status: process.terminationReason == .exit
                ? process.terminationStatus : -process.terminationStatus,
            output: String(decoding: text, as: UTF8.self), complaint: try complaint())
    }

    /// What it has said on standard error until now.
    func complaint() throws -> String {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: directory + "/complaint"))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Waits until it says something.
    ///
    /// - Returns: whether it has.
    func says(_ text: String) throws -> Bool {
        for _ in 0..<1000 {
            if try complaint().contains(text) { return true }
            usleep(10_000)
        }
        return false
    }

    /// Has it end, and waits for that.
    func stop() throws -> Outcome {
        kill(id, SIGTERM)
        return try finish()
    }

    /// What it holds of the system's.
    struct Holdings: Equatable, CustomStringConvertible {
        var descriptors: [String]
        /// Mappings of what others can see.
        var sharedMappings: [String]
        var mappingCount: Int

        var description: String {
            "\(descriptors.count) descriptors \(descriptors), \(sharedMappings), \(mappingCount) in all"
        }
    }

    var holdings: Holdings {
        let path = "/proc/\(id)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        let kinds = names.map {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: path + "/" + $0)) ?? "gone"
        }
        let maps = (try? String(contentsOfFile: "/proc/\(id)/maps", encoding: .utf8)) ?? ""
        let lines = maps.split(separator: "\n")
        return Holdings(
            descriptors: kinds.map {
                String($0.prefix { $0 != ":" })
            }.sorted(),
            sharedMappings: lines.filter { $0.contains(" rw-s ") && !$0.contains("io_uring") }
                .map(String.init),
            mappingCount: lines.count)
    }
}

struct DaemonFailure: Error, CustomStringConvertible {
    var description: String
}

/// Gives `body` a daemon with a disk that has served before. At its end the daemon has to be as it was
/// then, and serve the next frontend.
func withDaemon(_ arguments: String..., body: (Daemon) throws -> Void) throws {
    _ = try Daemon(more: arguments).holds(body) { try Peer.serveHonestly($0) }
}

/// The same with a network device.
///
/// - Returns: what the daemon has said.
@discardableResult
func withNetDaemon(_ arguments: String..., body: (Daemon) throws -> Void) throws -> String {
    try Daemon(device: "net", more: arguments).holds(body) { try NetPeer.serveHonestly($0) }
}

extension Daemon {
    /// Has it serve before and after `body`, and looks at what it holds.
    ///
    /// - Returns: what it has said until its end.
    fileprivate func holds(
        _ body: (Daemon) throws -> Void, serve: (Daemon) throws -> Void
    ) throws -> String {
        try waitForSocket()
        // Threads' stacks and the like are kept from the first time on.
        for _ in 0..<2 { try serve(self) }
        let before = try settled()
        try body(self)
        #expect(process.isRunning)
        let after = try settled(like: before)
        #expect(after.descriptors == before.descriptors)
        #expect(after.sharedMappings == [])
        #expect(after.mappingCount <= before.mappingCount + Self.mappingCountSpread)
        try serve(self)
        let end = try stop()
        #expect(end.status == 0, "said: \(end.complaint)")
        #expect(!end.complaint.contains("Fatal error"))
        return end.complaint
    }
}

extension Daemon {
    /// By how many mappings a process differs from time to time that has lost none: malloc makes an arena
    /// for each thread that allocates while others do, of two mappings, and keeps it.
    static let mappingCountSpread = 40

    /// Its holdings when no frontend is connected.
    func settled(like wanted: Holdings? = nil) throws -> Holdings {
        var last = holdings
        for _ in 0..<500 {
            usleep(10_000)
            let now = holdings
            let isDone =
                wanted.map { $0.descriptors == now.descriptors } ?? (now == last)
            if isDone, now.sharedMappings.isEmpty { return now }
            last = now
        }
        return last
    }
}
