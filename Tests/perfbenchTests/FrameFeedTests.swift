import GuestDriver
import NetBackend
import SharedMemory
import SwiotlbPool
import Testing
import Virtqueue

@testable import perfbench

/// The host's end of a TAP device as a sender.
@Suite(.serialized, .enabled(if: canUseTap, "TAP devices may not be made, or raw sockets not used"))
struct FrameFeedTests {
    private static let format = FrameFormat(plain: 60)

    private static func makeTap() throws -> TapDevice {
        let tap = try TapDevice(name: TapInterface.newName(.virtqueue) + "f")
        try tap.setUp(true)
        return tap
    }

    @Test func `a frame that the device has no room for is lost, and no other`() throws {
        let tap = try Self.makeTap()
        let socket = try PacketSocket(interface: tap.name, receives: false)
        let byteCount = PacketSocket.headerByteCount + 60
        let frames = [UInt8](repeating: 0, count: PacketSocket.burstCountMax * byteCount)
        var takenCount = 0
        var lostCount = 0
        for _ in 0..<40 {
            let (taken, isOneLost) = try socket.send(
                frames, byteCount: byteCount, count: PacketSocket.burstCountMax)
            takenCount += taken
            #expect(isOneLost == (taken < PacketSocket.burstCountMax))
            if isOneLost { lostCount += 1 }
        }
        // As many as the interface's own queue has places.
        #expect(takenCount > 0 && takenCount <= 1000 && lostCount > 0)
    }

    @Test func `frames of others are not counted`() throws {
        let tap = try Self.makeTap()
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let guestMap = MemoryMap(guest, at: GuestBuffers.base)
        let whole = try MemoryMap(
            guestMap.regions + MemoryMap(window, at: Memories.windowBase).regions)
        let pool = try BouncePool(
            window: window, at: Memories.windowBase, privateMemory: guestMap)
        let setting = NetQueueSetting(size: 16, isPacked: false, hasOffloads: false)
        let layout = setting.layout(features: setting.features)
        let frames = FrameMemory(guest, Self.format, queueSize: 16)
        func memory() throws -> CoherentAllocation {
            try pool.allocateCoherent(byteCount: layout.byteCount)
        }
        let transmitter = try NetTransmitter(
            mapper: IdentityMapper(), memory: try memory(), layout: layout,
            features: setting.features)
        let receiver = try NetReceiver(
            mapper: IdentityMapper(), memory: try memory(), layout: layout,
            features: setting.features, buffers: frames.receive)
        func setup(_ queue: QueueConfiguration) -> QueueSetup {
            QueueSetup(
                configuration: queue, memoryMap: whole, position: .start(isPacked: false),
                kick: nil, call: nil)
        }
        let pair = try NetQueuePair(
            .tap(tap), transmit: setup(transmitter.queueConfiguration),
            receive: setup(receiver.queueConfiguration))
        let feed = FrameFeed(
            try PacketSocket(interface: tap.name, receives: false), Self.format)
        var loop = FrameLoop(
            transmitter: transmitter, receiver: receiver, device: LocalNetDevice(pair),
            frames: frames, queueSize: 16, sends: false, feed: feed)
        defer { loop.end() }
        let stranger = try PacketSocket(interface: tap.name, receives: false)
        let byteCount = PacketSocket.headerByteCount + 60
        for _ in 0..<5 {
            _ = try stranger.send(
                [UInt8](repeating: 0, count: 20 * byteCount), byteCount: byteCount, count: 20)
            _ = try loop.run(burst: 4, seconds: 0.005)
            // Every frame that was fed has come, and has come once.
            let (received, fed) = (loop.receivedCount, feed.fedCount)
            #expect(received == fed && fed > 0)
        }
    }
}
