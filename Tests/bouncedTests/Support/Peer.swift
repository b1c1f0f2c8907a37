import CLinux
import Glibc
import SharedMemory
import SystemPackage
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// A frontend with a guest's memory, and the driver of one queue in it. Honest by itself; tests
/// write what they like into its memory.
final class Peer: PeerMemory {
    static let base = GuestAddress(0x10_0000)
    static let byteCount = 2 << 20
    /// Where requests are put together, in bytes from the start of the memory.
    static let roomOffset = 1 << 17

    let memory: HostMemory
    let map: MemoryMap
    let layout: QueueLayout
    let configuration: QueueConfiguration
    let frontend: VhostUserFrontend
    let features: VirtioFeatures
    var driver: DriverQueue
    let kick: EventDescriptor
    let call: EventDescriptor
    let alarm: EventDescriptor
    var next = Peer.roomOffset

    static let usual: VirtioFeatures = [
        .version1, .accessPlatform, .blockFlush, .blockDiscard, .blockWriteZeroes,
    ]

    /// Connects, and starts a queue.
    ///
    /// - Parameters:
    ///   - memory: of ``byteCount`` bytes.
    ///   - regions: what the daemon is given besides.
    init(
        _ daemon: Daemon, size: Int = 64, features: VirtioFeatures = Peer.usual,
        memory: HostMemory? = nil, regions: [MemoryMap.Region] = [], startsQueue: Bool = true
    ) throws {
        let memory = try memory ?? .window(byteCount: Self.byteCount)
        let map = try MemoryMap(
            [MemoryMap.Region(guestAddress: Self.base, memory: memory)] + regions)
        let layout = QueueLayout(size: size, isPacked: features.contains(.packedRing))
        frontend = try VhostUserFrontend(connecting: FilePath(daemon.socket))
        try frontend.negotiate(features: features)
        try frontend.setMemory(map)
        (kick, call, alarm) = try (EventDescriptor(), EventDescriptor(), EventDescriptor())
        driver = try DriverQueue(
            layout, at: Self.base, features: frontend.features, memoryMap: map)
        self.memory = memory
        self.map = map
        self.layout = layout
        self.features = frontend.features
        configuration = layout.configuration(at: Self.base, features: frontend.features)
        if startsQueue { try start() }
    }

    func start() throws {
        try frontend.startQueue(
            0, configuration, at: .start(isPacked: layout.isPacked), kick: kick, call: call,
            error: alarm)
    }

    func header(_ type: UInt32, sector: UInt64 = 0) -> GuestRange {
        let words = BlockHeader(type: type, sector: sector).words
        return put(
            [words.0, words.1].flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
            })
    }

    func submit(_ parts: [GuestRange], readable: Int, tag: UInt64 = 1) {
        let isAdded = driver.add(parts.span, readableCount: readable, tag: tag)
        precondition(isAdded, "the queue has room")
        if driver.publish() { kick.signal() }
    }

    /// Waits for a used buffer; `nil` where none comes, or the queue stopped.
    func wait(milliseconds: Int = 5000) throws -> UsedBuffer? {
        let deadline = ContinuousClock.now + .milliseconds(milliseconds)
        while ContinuousClock.now < deadline {
            if let used = try driver.nextUsed() { return used }
            if driver.enableCalls() { continue }
            _ = call.wait(timeoutMilliseconds: 20)
            if alarm.wait(timeoutMilliseconds: 0) { return try driver.nextUsed() }
        }
        return nil
    }

    /// Makes a request; its status and used length, `nil` where it does not end.
    func run(
        _ type: UInt32, sector: UInt64 = 0, reads: [GuestRange] = [], writes: [GuestRange] = []
    ) throws -> (status: UInt8, byteCount: Int)? {
        let status = put([0xEE])
        submit(
            [header(type, sector: sector)] + reads + writes + [status], readable: 1 + reads.count)
        guard let used = try wait() else { return nil }
        return (bytes(status)[0], used.writtenByteCount)
    }

    /// Whether the daemon says that the queue has stopped itself.
    func queueStopped() -> Bool { alarm.wait(timeoutMilliseconds: 5000) }

    /// Writes and reads back what nobody wrote before, in both formats.
    static func serveHonestly(_ daemon: Daemon) throws {
        var random = SeededGenerator()
        for format in [VirtioFeatures(), [.packedRing, .eventIndex, .indirectDescriptors]] {
            let peer = try Peer(daemon, features: usual.union(format))
            for round in 0..<8 {
                let bytes = random.bytes(4096)
                let sector = UInt64(round * 16)
                let source = peer.put(bytes)
                let written = try #require(
                    try peer.run(BlockHeader.write, sector: sector, reads: [source]))
                #expect(written == (0, 1))
                let target = peer.room(4096)
                let read = try #require(
                    try peer.run(BlockHeader.read, sector: sector, writes: [target]))
                #expect(read == (0, 4097))
                #expect(peer.bytes(target) == bytes)
            }
            _ = try peer.frontend.stopQueue(0)
        }
    }
}

/// Memory that its owner can cut short.
func unsealedMemory(byteCount: Int) throws -> HostMemory {
    // SAFETY: the string lives for the call.
    let descriptor = unsafe memfd_create("unsealed", UInt32(MFD_CLOEXEC))
    #expect(ftruncate(descriptor, byteCount) == 0)
    return try HostMemory.mapped(
        FileDescriptor(rawValue: descriptor), offset: 0, byteCount: byteCount)
}
