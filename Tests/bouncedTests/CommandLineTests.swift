import Foundation
import Glibc
import SharedMemory
import SystemPackage
import Testing

@testable import VhostUser
@testable import Virtqueue

/// What bounced says and how it ends where it cannot begin.
@Suite struct CommandLineTests {
    private func expectRefusal(
        _ arguments: [String], _ status: Int32, _ part: String, program: String? = nil
    ) throws {
        let end = try Daemon(arguments, program: program).finish()
        #expect(end.status == status, "said: \(end.complaint)")
        #expect(end.complaint.contains(part), "said: \(end.complaint)")
        #expect(!end.complaint.contains("Fatal error"))
        #expect(end.output.isEmpty)
    }

    private static let file = "/proc/self/exe"

    @Test(arguments: [
        ([], "name one socket"), (["--socket-path", "/tmp/x", "--fd", "0"], "name one socket"),
        (["--socket-path", "/tmp/x"], "name the file"),
        (["--socket-path", "", "--blk-file", "/dev/null"], "--socket-path is empty"),
        (["--fd=-1", "--blk-file", "/dev/null"], "--fd -1 is no descriptor"),
        (["--num-queues", "0"], "--num-queues 0"), (["--num-queues", "257"], "--num-queues 257"),
        (["--queue-size", "1"], "--queue-size 1 "), (["--queue-size", "48"], "--queue-size 48"),
        (["--queue-size", "65536"], "--queue-size 65536"),
        (["--poll-microseconds=-1"], "--poll-microseconds -1"),
        (["--poll-microseconds", "1000001"], "--poll-microseconds 1000001"),
        (["--no-such-option"], "Unknown option"), (["rest"], "Unexpected argument"),
    ])
    func `what cannot be asked for is refused with status 64`(
        options: [String], part: String
    ) throws {
        let isWhole =
            options.isEmpty || options.contains { $0 == "--socket-path" || $0.hasPrefix("--fd") }
        let rest = isWhole ? [] : ["--socket-path", "/tmp/x", "--blk-file", "/dev/null"]
        try expectRefusal(options + rest, 64, part)
    }

    @Test(arguments: [
        ("/nonexistent/file", 66 as Int32, "/nonexistent/file does not exist"),
        ("/tmp", 66, "/tmp"), ("/dev/null", 66, "/dev/null"),
    ])
    func `a file that cannot be served is named`(
        file: String, status: Int32, part: String
    ) throws {
        try expectRefusal(["--socket-path", "/tmp/x", "--blk-file", file], status, part)
    }

    @Test func `an empty file has nothing to serve`() throws {
        let name = NSTemporaryDirectory() + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: name) }
        _ = FileManager.default.createFile(atPath: name, contents: Data(count: 511))
        try expectRefusal(
            ["--socket-path", "/tmp/x", "--blk-file", name, "--buffered"], 66,
            "no whole sector")
    }

    @Test func `a descriptor that is no socket is refused`() throws {
        let name = NSTemporaryDirectory() + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: name) }
        _ = FileManager.default.createFile(atPath: name, contents: Data(count: 4096))
        // The null device, and none: what is open in this process, children have too.
        for number in ["0", "1000000"] {
            try expectRefusal(
                ["--fd", number, "--blk-file", name, "--buffered"], 64, "no Unix stream socket")
        }
    }

    @Test func `a socket cannot be made where there is no directory`() throws {
        let name = NSTemporaryDirectory() + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: name) }
        _ = FileManager.default.createFile(atPath: name, contents: Data(count: 4096))
        try expectRefusal(
            ["--socket-path", "/nonexistent/socket", "--blk-file", name, "--buffered"], 73,
            "/nonexistent/socket")
        // A file that is no socket stays.
        try expectRefusal(
            ["--socket-path", name, "--blk-file", name, "--buffered"], 73, "or it is no socket")
        #expect(FileManager.default.fileExists(atPath: name))
    }

    @Test func `what the program can do is JSON for a management program`() throws {
        for program in [nil, "bounced-blk"] {
            let end = try Daemon(["--print-capabilities"], program: program).finish()
            #expect(end.status == 0 && end.complaint.isEmpty)
            let value = try JSONSerialization.jsonObject(with: Data(end.output.utf8))
            let object = try #require(value as? [String: Any])
            #expect(object["type"] as? String == "block")
            #expect(object["features"] as? [String] == ["read-only", "blk-file"])
        }
    }

    @Test(arguments: [
        ["--num-queues", "x", "--print-capabilities"],
        ["--print-capabilities", "--no-such-option"],
        ["rest", "--socket-path", "/nonexistent/x", "--print-capabilities"],
    ])
    func `what stands beside a question for capabilities is ignored`(arguments: [String]) throws {
        for program in [nil, "bounced-blk"] {
            let end = try Daemon(arguments, program: program).finish()
            #expect(end.status == 0 && end.complaint.isEmpty, "said: \(end.complaint)")
            #expect(end.output.contains("blk-file"))
        }
    }

    @Test func `a socket of another kind is refused`() throws {
        for type in [SOCK_DGRAM, SOCK_SEQPACKET] {
            var pair: (Int32, Int32) = (-1, -1)
            let result = unsafe withUnsafeMutableBytes(of: &pair) {
                // SAFETY: the tuple has the layout of two integers, and lives for the call.
                unsafe socketpair(
                    AF_UNIX, Int32(type.rawValue), 0,
                    $0.baseAddress?.assumingMemoryBound(to: Int32.self))
            }
            try #require(result == 0)
            defer {
                close(pair.0)
                close(pair.1)
            }
            let daemon = try Daemon(
                ["--fd", "0", "--blk-file", "/proc/self/exe", "--buffered", "--read-only"],
                standardInput: FileDescriptor(rawValue: pair.0))
            let end = try daemon.finish()
            #expect(end.status == 64)
            #expect(end.complaint.contains("no Unix stream socket"), "said: \(end.complaint)")
        }
    }
}
