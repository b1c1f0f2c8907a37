import Foundation
import SharedMemory
import SystemPackage
import Testing
import VhostUser
import Virtqueue

/// The frontend before a backend that others have written: QEMU's storage daemon.
@Suite(.enabled(if: StorageDaemon.isInstalled), .timeLimit(.minutes(1)))
struct VhostUserStorageDaemonTests {
    @Test func negotiationConfigurationAndQueues() throws {
        let daemon = try StorageDaemon(byteCount: 8 << 20)
        defer { withExtendedLifetime(daemon) {} }
        let frontend = try daemon.connect()
        try frontend.negotiate(features: [.version1, .eventIndex, .indirectDescriptors])
        #expect(
            frontend.features.isSuperset(
                of: [.version1, .eventIndex, .indirectDescriptors, .protocolFeatures]))
        #expect(!frontend.offeredFeatures.contains(.accessPlatform))
        #expect(
            frontend.protocolFeatures.isSuperset(
                of: [.configuration, .multipleQueues, .replyAcknowledgement]))
        #expect(frontend.protocolFeatures.isDisjoint(with: [.inflightDescriptor, .resetDevice]))
        #expect(try frontend.queueCountMax() == 2)

        // The capacity, in sectors.
        let capacity = try frontend.configuration(at: 0, byteCount: 60).prefix(8)
        #expect(capacity.reversed().reduce(0) { $0 << 8 | UInt64($1) } == (8 << 20) / 512)

        let guest = try GuestMemory()
        try frontend.setMemory(guest.map)
        let (kick, call) = (try EventDescriptor(), try EventDescriptor())
        for index in 0..<2 {
            try frontend.startQueue(
                index, guest.configuration(index), at: .start(isPacked: false), kick: kick,
                call: call)
        }
        #expect(try frontend.stopQueue(1) == QueuePosition(available: 0, used: 0))
        // A ring with another size, and then one it does not have.
        try frontend.startQueue(
            1, guest.configuration(1, size: 16), at: QueuePosition(available: 0, used: 0),
            kick: kick, call: nil)
        #expect(try frontend.stopQueue(0) == QueuePosition(available: 0, used: 0))
    }

    /// The whole way round: a request to read the first sector, put into a ring by hand.
    @Test func requestIsServed() throws {
        let daemon = try StorageDaemon(byteCount: 1 << 20)
        defer { withExtendedLifetime(daemon) {} }
        let frontend = try daemon.connect()
        try frontend.negotiate(features: .version1)
        let guest = try GuestMemory()
        try frontend.setMemory(guest.map)
        let (kick, call) = (try EventDescriptor(), try EventDescriptor())
        let (memory, start) = (guest.memory, guest.region.guestAddress.rawValue)
        let configuration = guest.configuration(size: 16)
        // Header, data, status; the header of a read of sector 0 is all zero.
        let parts: [(offset: Int, byteCount: UInt32, flags: UInt16, next: UInt16)] = [
            (0x8000, 16, 1, 1), (0x9000, 512, 3, 2), (0xa000, 1, 2, 0),
        ]
        for (index, part) in parts.enumerated() {
            memory.store(start + UInt64(part.offset), at: index * 16)
            memory.store(part.byteCount, at: index * 16 + 8)
            memory.store(part.flags, at: index * 16 + 12)
            memory.store(part.next, at: index * 16 + 14)
        }
        memory.store(0xff as UInt8, at: 0xa000)
        try frontend.startQueue(
            0, configuration, at: .start(isPacked: false), kick: kick, call: call)
        memory.storeReleasing(1 as UInt16, at: 0x2002)
        kick.signal()
        // It may call for nothing, too.
        while memory.loadAcquiring(UInt16.self, at: 0x4002) == 0 {
            try #require(call.wait(timeoutMilliseconds: 10_000))
        }
        #expect(memory.load(UInt8.self, at: 0xa000) == 0)
        let isRead = memory.bytes(at: 0x9000, byteCount: 512) == StorageDaemon.firstSector
        #expect(isRead)
        #expect(try frontend.stopQueue(0) == QueuePosition(available: 1, used: 1))
    }
}

/// A storage daemon that serves a file of its own.
private final class StorageDaemon {
    private let process = Process()
    private let directory: URL
    private let socket: FilePath

    static let executable = "/usr/bin/qemu-storage-daemon"
    static let isInstalled = FileManager.default.isExecutableFile(atPath: executable)
    static let firstSector = (0..<512).map { UInt8(truncatingIfNeeded: $0 * 3) }

    init(byteCount: Int) throws {
        directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("bounce-qsd-\(UInt64.random(in: .min ... .max))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let image = directory.appendingPathComponent("image")
        var contents = Data(Self.firstSector)
        contents.append(Data(count: byteCount - contents.count))
        try contents.write(to: image)
        socket = FilePath(directory.appendingPathComponent("socket").path)
        process.executableURL = URL(fileURLWithPath: Self.executable)
        process.arguments = [
            "--blockdev", "file,node-name=f,filename=\(image.path)", "--export",
            "vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=\(socket),writable=on,"
                + "num-queues=2",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        // It would wait for its frontend to go first, if it were asked nicely.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    /// Connects once it listens.
    func connect() throws -> VhostUserFrontend {
        for _ in 0..<500 {
            if let frontend = try? VhostUserFrontend(connecting: socket) { return frontend }
            Thread.sleep(forTimeInterval: 0.02)
        }
        throw VhostUserError.timedOut
    }
}
