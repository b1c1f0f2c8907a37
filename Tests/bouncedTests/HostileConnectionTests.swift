import Foundation
import Glibc
import SharedMemory
import SystemPackage
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// Frontends that leave the other end of their connection with the daemon and go. It holds that itself then, and
/// must not wait for what it will never see: neither the end of the connection, nor a byte more.
@Suite(.serialized) struct HostileConnectionTests {
    private static let patience = Patience(milliseconds: 20_000)
    /// What the daemon says of a frontend that it did not wait for.
    private static let impatience = "frontend disconnected: the peer kept this end waiting too long"

    private static func send(
        _ bytes: [UInt8], _ descriptors: [FileDescriptor] = [], by socket: MessageSocket
    ) throws {
        let count = try MessageSocket.send(
            bytes[...], descriptors, to: socket.fileDescriptor, patience)
        #expect(count == bytes.count)
        // Neither number may be another's meanwhile.
        extendLifetime(socket)
    }

    private static func bytes(_ request: FrontendRequest) -> [UInt8] {
        MessageHeader(
            code: request.code.rawValue, flags: .version1,
            payloadByteCount: UInt32(request.payload.count)
        ).bytes + request.payload
    }

    /// Connects, and waits to be served: before that nobody can be sent a descriptor.
    private static func connect(_ daemon: Daemon) throws -> MessageSocket {
        let socket = try MessageSocket(connecting: FilePath(daemon.socket))
        try greet(socket)
        return socket
    }

    private static func greet(_ socket: MessageSocket) throws {
        try send(bytes(.getFeatures), by: socket)
        _ = try socket.receive(patience)
    }

    @Test("With the start of a message", arguments: [3, 12, 19])
    func startOfAMessage(byteCount: Int) throws {
        try withDaemon { daemon in
            do {
                let socket = try Self.connect(daemon)
                let message = Self.bytes(.setFeatures([.version1]))
                try Self.send(
                    Array(message.prefix(byteCount)), [socket.fileDescriptor], by: socket)
            }
            #expect(try daemon.says(Self.impatience))
        }
    }

    @Test("Behind requests whose answers it does not read")
    func answersNotRead() throws {
        try withDaemon { daemon in
            do {
                let socket = try Self.connect(daemon)
                let request = Self.bytes(.getFeatures)
                // More answers than a socket has room for.
                try Self.send((0..<1200).flatMap { _ in request }, by: socket)
                try Self.send(request, [socket.fileDescriptor], by: socket)
            }
            #expect(try daemon.says(Self.impatience))
        }
    }

    @Test("As the channel for the backend's requests, itself or a connection that waits behind it")
    func channel() throws {
        try withDaemon { daemon in
            for isOther in [false, true] {
                let socket = try Self.connect(daemon)
                let other = try MessageSocket(connecting: FilePath(daemon.socket))
                try Self.send(
                    Self.bytes(.setBackendChannel), [(isOther ? other : socket).fileDescriptor],
                    by: socket)
                #expect(throws: VhostUserError.closed) { _ = try socket.receive(Self.patience) }
                extendLifetime(other)
            }
            #expect(try daemon.complaint().contains("the channel leads back to this backend"))
        }
    }

    @Test("Unread in the channel, before or after that is the daemon's", arguments: [true, false])
    func inTheChannel(isBefore: Bool) throws {
        try withDaemon { daemon in
            let socket = try Self.connect(daemon)
            let (own, theirs) = try MessageSocket.makePair()
            if isBefore { try Self.send([0], [socket.fileDescriptor], by: own) }
            try Self.send(Self.bytes(.setBackendChannel), [theirs.fileDescriptor], by: socket)
            if !isBefore {
                try Self.greet(socket)
                try Self.send([0], [socket.fileDescriptor], by: own)
            }
            extendLifetime(theirs)
        }
    }

    @Test(
        "Unread at a channel that listens, before or after it is the daemon's",
        arguments: [true, false])
    func atAChannelThatListens(isBefore: Bool) throws {
        try withDaemon { daemon in
            let socket = try Self.connect(daemon)
            let path = FilePath(daemon.directory + "/listener")
            let listener = try MessageSocket.makeSocket()
            defer { try? listener.close() }
            try MessageSocket.attach(listener, to: path, listening: true)
            func leave() throws {
                #expect(Glibc.listen(listener.rawValue, 4) == 0)
                let own = try MessageSocket(connecting: path)
                try Self.send([0], [socket.fileDescriptor], by: own)
            }
            if isBefore { try leave() }
            try Self.send(Self.bytes(.setBackendChannel), [listener], by: socket)
            if !isBefore { try leave() }
        }
    }

    @Test(
        "Unread on a connection that waits behind it",
        .enabled(if: waitingTakeNoDescriptors, "this kernel lets them be sent (Linux 6.16)"))
    func onAConnectionThatWaits() throws {
        try withDaemon { daemon in
            let socket = try Self.connect(daemon)
            let other = try MessageSocket(connecting: FilePath(daemon.socket))
            #expect(throws: VhostUserError.system(SystemCallError("sendmsg", .notPermitted))) {
                try Self.send([0], [socket.fileDescriptor], by: other)
            }
        }
    }

    @Test("As the channel of a connection without a name, with which the daemon was started")
    func channelWithoutAName() throws {
        let path = NSTemporaryDirectory() + "bounced-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        _ = FileManager.default.createFile(atPath: path, contents: Data(count: 4096))
        let daemon: Daemon
        do {
            let (own, theirs) = try MessageSocket.makePair()
            daemon = try Daemon(
                ["--fd", "0", "--blk-file", path, "--buffered"],
                standardInput: theirs.fileDescriptor)
            extendLifetime(theirs)
            try Self.send(Self.bytes(.setBackendChannel), [own.fileDescriptor], by: own)
        }
        #expect(try daemon.says("the channel leads back to this backend"))
        for _ in 0..<1000 where daemon.process.isRunning { usleep(10_000) }
        #expect(!daemon.process.isRunning)
    }
}

/// Whether this kernel lets nobody send descriptors to who waits.
private let waitingTakeNoDescriptors: Bool = {
    guard let socket = try? MessageSocket.makeSocket() else { return false }
    defer { try? socket.close() }
    return MessageSocket.refuseDescriptorsOfWaiting(at: socket)
}()
