import Foundation
import Glibc
import SharedMemory
import SystemPackage
import Testing

@testable import VhostUser
@testable import Virtqueue

/// bounced from its start to its end.
@Suite(.serialized) struct ServingTests {
    @Test func `SIGTERM and SIGINT end it with status 0, and the socket is gone`() throws {
        for signal in [SIGTERM, SIGINT] {
            let daemon = try Daemon()
            try daemon.waitForSocket()
            let peer = try Peer(daemon)
            let source = peer.put([UInt8](repeating: 0x42, count: 4096))
            #expect(
                try #require(try peer.run(BlockHeader.write, sector: 8, reads: [source])) == (0, 1))
            // Not waited for: what was taken is given back all the same.
            let statuses = (0..<16).map { _ in peer.put([0xEE]) }
            for status in statuses {
                peer.submit(
                    [peer.header(BlockHeader.write, sector: 16), source, status], readable: 2)
            }
            kill(daemon.id, signal)
            let end = try daemon.finish()
            #expect(end.status == 0, "said: \(end.complaint)")
            #expect(end.complaint.contains("writes"))
            #expect(!FileManager.default.fileExists(atPath: daemon.socket))
            var given = 0
            while try peer.driver.nextUsed() != nil { given += 1 }
            #expect(statuses.filter { peer.bytes($0) == [0] }.count == given)
            let file = try Data(contentsOf: URL(fileURLWithPath: daemon.file))
            #expect(file[4096..<8192] == Data(repeating: 0x42, count: 4096))
        }
    }

    @Test func `SIGUSR1 has it print statistics and go on`() throws {
        let daemon = try Daemon(more: ["--num-queues", "2"])
        try daemon.waitForSocket()
        try Peer.serveHonestly(daemon)
        kill(daemon.id, SIGUSR1)
        #expect(try daemon.says("queue 1: "))
        try Peer.serveHonestly(daemon)
        let end = try daemon.stop()
        #expect(end.status == 0)
        #expect(end.complaint.contains("queue 0: 16 reads, 16 writes"), "said: \(end.complaint)")
        #expect(end.complaint.contains("queue 0: 32 reads, 32 writes"))
        #expect(end.complaint.contains("queue 1: 0 reads"))
    }

    @Test func `a socket that a dead process left is taken over, one in use is not`() throws {
        let daemon = try Daemon()
        try daemon.waitForSocket()
        let arguments = [
            "--socket-path", daemon.socket, "--blk-file", daemon.file, "--buffered",
        ]
        let second = try Daemon(arguments).finish()
        #expect(second.status == 73)
        #expect(second.complaint.contains("somebody serves it already"))
        kill(daemon.id, SIGKILL)
        daemon.process.waitUntilExit()
        #expect(FileManager.default.fileExists(atPath: daemon.socket))
        let third = try Daemon(arguments)
        #expect(try third.says(" serving "))
        try Peer.serveHonestly(daemon)
        #expect(try third.stop().status == 0)
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
    }

    @Test func `a connection that it was started with is served once`() throws {
        let (own, theirs) = try MessageSocket.makePair()
        let daemon = try Daemon(
            ["--fd", "0", "--blk-file", Self.scratch(), "--buffered"],
            standardInput: theirs.fileDescriptor)
        let frontend = try VhostUserFrontend(adopting: own.fileDescriptor.duplicate())
        try frontend.negotiate(features: Peer.usual)
        #expect(try frontend.configuration(at: 0, byteCount: 8) == [0, 8, 0, 0, 0, 0, 0, 0])
        #expect(Glibc.shutdown(own.fileDescriptor.rawValue, Int32(SHUT_RDWR)) == 0)
        let end = try daemon.finish()
        #expect(end.status == 0, "said: \(end.complaint)")
    }

    @Test func `a listening socket that it was started with is served until the end`() throws {
        let path = NSTemporaryDirectory() + "bounced-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        let listener = try MessageSocket.makeSocket()
        defer { try? listener.close() }
        try MessageSocket.attach(listener, to: FilePath(path), listening: true)
        #expect(Glibc.listen(listener.rawValue, 4) == 0)
        let daemon = try Daemon(
            ["--fd", "0", "--blk-file", Self.scratch(), "--buffered"], program: "bounced-blk",
            standardInput: listener)
        for _ in 0..<3 {
            let frontend = try VhostUserFrontend(connecting: FilePath(path))
            try frontend.negotiate(features: Peer.usual)
            #expect(try frontend.queueCountMax() == 1)
        }
        #expect(try daemon.stop().status == 0)
        // Who made it removes it.
        #expect(FileManager.default.fileExists(atPath: path))
    }

    @Test func `a read-only device says so, and refuses writes`() throws {
        let daemon = try Daemon(more: ["--read-only"])
        try daemon.waitForSocket()
        let peer = try Peer(daemon)
        #expect(peer.frontend.offeredFeatures.contains(.blockReadOnly))
        #expect(!peer.frontend.offeredFeatures.contains(.blockDiscard))
        let source = peer.put([UInt8](repeating: 1, count: 512))
        #expect(try #require(try peer.run(BlockHeader.write, reads: [source])) == (1, 1))
        #expect(try daemon.stop().status == 0)
    }

    /// A file of a mebibyte; small enough to be left in the temporary directory.
    private static func scratch() -> String {
        let path = NSTemporaryDirectory() + "bounced-test-scratch"
        _ = FileManager.default.createFile(atPath: path, contents: Data(count: 1 << 20))
        return path
    }

    /// Has the system limit how many descriptors a daemon may have, or no longer.
    private static func limitDescriptors(of daemon: Daemon, to count: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
        process.arguments = ["--pid", "\(daemon.id)", "--nofile=\(count):"]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/prlimit")))
    func `a frontend that comes while the system has no descriptors is served later`() throws {
        let daemon = try Daemon()
        try daemon.waitForSocket()
        let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(daemon.id)/fd")
        let lowest = (0..<1024).first { !names.contains("\($0)") }
        try Self.limitDescriptors(of: daemon, to: "\(try #require(lowest))")
        do {
            let early = try VhostUserFrontend(
                connecting: FilePath(daemon.socket), timeoutMilliseconds: 500)
            #expect(throws: VhostUserError.timedOut) { try early.negotiate(features: .version1) }
            #expect(daemon.process.isRunning)
        }
        try Self.limitDescriptors(of: daemon, to: "1024")
        try Peer.serveHonestly(daemon)
        #expect(try daemon.stop().status == 0)
    }

    @Test func `all queues that can be asked for can run at once`() throws {
        let daemon = try Daemon(more: ["--num-queues", "256", "--queue-size", "16"])
        try daemon.waitForSocket()
        let peer = try Peer(daemon, size: 16, startsQueue: false)
        for index in 0..<256 {
            // None is kicked, so that they may all have the same rings.
            try peer.frontend.startQueue(
                index, peer.configuration, at: .start(isPacked: false), kick: EventDescriptor(),
                call: nil)
        }
        #expect(try peer.frontend.queueCountMax() == 256)
        #expect(try daemon.stop().status == 0)
    }

    @Test func `what a driver has chosen of the cache holds when its frontend comes back`() throws {
        let daemon = try Daemon()
        try daemon.waitForSocket()
        let features = Peer.usual.union(.blockConfigWriteback)
        do {
            let peer = try Peer(daemon, features: features)
            try peer.frontend.setConfiguration([0], at: BlockConfiguration.writebackOffset)
            _ = try peer.frontend.stopQueue(0)
        }
        let again = try Peer(daemon, features: features)
        #expect(
            try again.frontend.configuration(at: BlockConfiguration.writebackOffset, byteCount: 1)
                == [0])
        try again.frontend.resetDevice()
        #expect(
            try again.frontend.configuration(at: BlockConfiguration.writebackOffset, byteCount: 1)
                == [1])
        #expect(try daemon.stop().status == 0)
    }
}
