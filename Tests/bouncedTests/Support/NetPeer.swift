import SharedMemory
import SystemPackage
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// A frontend with a guest's memory, and the driver of one pair of queues in it, and of the control queue.
/// Honest by itself; tests write what they like into its memory.
final class NetPeer: PeerMemory {
    static let base = GuestAddress(0x10_0000)
    static let byteCount = 8 << 20
    static let ringByteCount = 1 << 16
    /// Where frames and buffers are put together, in bytes from the start of the memory.
    static let roomOffset = 4 * ringByteCount

    let memory: HostMemory
    let frontend: VhostUserFrontend
    let receive: NetPeerQueue
    let transmit: NetPeerQueue
    let control: NetPeerQueue
    var next = roomOffset

    static let usual: VirtioFeatures = [
        .version1, .accessPlatform, .netMTU, .netStatus, .netMergeableBuffers, .netControlQueue,
        .netReceiveMode, .netSetMAC, .netVLANFilter,
    ]

    /// Connects, and starts the queues.
    init(_ daemon: Daemon, size: Int = 256, features: VirtioFeatures = NetPeer.usual) throws {
        let memory = try HostMemory.window(byteCount: Self.byteCount)
        let map = MemoryMap(memory, at: Self.base)
        let frontend = try VhostUserFrontend(connecting: FilePath(daemon.socket))
        try frontend.negotiate(features: features)
        try frontend.setMemory(map)
        func queue(_ index: Int) throws -> NetPeerQueue {
            let queue = try NetPeerQueue(
                index, size: size, features: frontend.features,
                at: GuestAddress(Self.base.rawValue + UInt64(index * Self.ringByteCount)), map)
            try queue.start(frontend)
            return queue
        }
        (receive, transmit, control) = (try queue(0), try queue(1), try queue(2))
        self.frontend = frontend
        self.memory = memory
    }

    /// Makes receive buffers available.
    func offer(_ count: Int, byteCount: Int = 2048) {
        for _ in 0..<count { receive.submit([room(byteCount)], readable: 0) }
    }

    /// Sends a frame, and waits until its buffer is back; whether it came.
    func send(_ frame: [UInt8], _ header: NetHeader = NetHeader()) throws -> Bool {
        transmit.submit([put(header.bytes + frame)], readable: 1)
        return try transmit.wait() != nil
    }

    /// The next frame that the device has for this driver; `nil` where there comes none.
    func frame() throws -> [UInt8]? {
        var bytes: [UInt8] = []
        var bufferCount = 1
        while bufferCount > 0 {
            guard let used = try receive.wait() else { return nil }
            let part = self.bytes(used.range).prefix(used.byteCount)
            if bytes.isEmpty { bufferCount = Int(try #require(part.dropFirst(10).first)) }
            bytes += part
            bufferCount -= 1
        }
        return Array(bytes.dropFirst(NetHeader.byteCount))
    }

    /// Gives a command, as it stands in bytes; the answer, `nil` where there comes none.
    func command(_ bytes: [UInt8]) throws -> UInt8? {
        let answer = put([0xEE])
        control.submit(
            (bytes.isEmpty ? [] : [put(bytes)]) + [answer], readable: bytes.isEmpty ? 0 : 1)
        guard try control.wait() != nil else { return nil }
        return self.bytes(answer)[0]
    }

    func stop() throws {
        for index in 0..<3 { _ = try frontend.stopQueue(index) }
    }

    /// Sends frames in both formats of rings, and receives those that come back.
    ///
    /// The daemon has to send back what is sent, unless `isEchoed` is false.
    static func serveHonestly(_ daemon: Daemon, isEchoed: Bool = true) throws {
        var random = SeededGenerator()
        for format in [VirtioFeatures(), [.packedRing, .eventIndex, .indirectDescriptors]] {
            let peer = try NetPeer(daemon, features: usual.union(format))
            peer.offer(16)
            for _ in 0..<8 {
                let frame = random.bytes(Int.random(in: 60...1514, using: &random))
                #expect(try peer.send(frame))
                if isEchoed { #expect(try peer.frame() == frame) }
            }
            #expect(try peer.command([0, 0, 1]) == 0)
            try peer.stop()
        }
    }
}

/// One queue of a driver.
final class NetPeerQueue {
    let index: Int
    let configuration: QueueConfiguration
    private var driver: DriverQueue
    private let isPacked: Bool
    let kick: EventDescriptor
    let call: EventDescriptor
    let alarm: EventDescriptor
    /// What is with the device, by tag.
    private var submitted: [UInt64: [GuestRange]] = [:]
    private var tag: UInt64 = 0

    init(
        _ index: Int, size: Int, features: VirtioFeatures, at address: GuestAddress,
        _ map: MemoryMap
    ) throws {
        let layout = QueueLayout(size: size, isPacked: features.contains(.packedRing))
        self.index = index
        isPacked = layout.isPacked
        configuration = layout.configuration(at: address, features: features)
        driver = try DriverQueue(layout, at: address, features: features, memoryMap: map)
        (kick, call, alarm) = try (EventDescriptor(), EventDescriptor(), EventDescriptor())
    }

    func start(_ frontend: VhostUserFrontend) throws {
        try frontend.startQueue(
            index, configuration, at: .start(isPacked: isPacked), kick: kick, call: call,
            error: alarm)
    }

    func submit(_ parts: [GuestRange], readable: Int) {
        tag = (tag + 1) % 4096
        submitted[tag] = parts
        let isAdded = driver.add(parts.span, readableCount: readable, tag: tag)
        precondition(isAdded, "the queue has room")
        if driver.publish() { kick.signal() }
    }

    /// Waits for a used buffer: its last part, and how much the device says it has written; `nil` where
    /// none comes, or the queue stopped.
    func wait() throws -> (range: GuestRange, byteCount: Int)? {
        let deadline = ContinuousClock.now + .seconds(5)
        while ContinuousClock.now < deadline {
            if let used = try driver.nextUsed() {
                guard let parts = submitted.removeValue(forKey: used.tag), let last = parts.last
                else { return nil }
                return (last, used.writtenByteCount)
            }
            if driver.enableCalls() { continue }
            _ = call.wait(timeoutMilliseconds: 20)
            if alarm.wait(timeoutMilliseconds: 0) { return nil }
        }
        return nil
    }

    /// How many buffers are with the device.
    var submittedCount: Int { submitted.count }

    /// Takes back what the device is done with, now.
    func forgetUsed() {
        while let used = try? driver.nextUsed() { submitted[used.tag] = nil }
    }

    /// Whether the device says that the queue has stopped itself.
    func stopped() -> Bool { alarm.wait(timeoutMilliseconds: 5000) }
}
