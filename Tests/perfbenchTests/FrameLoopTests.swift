import CommandSupport
import GuestDriver
import NetBackend
import SharedMemory
import SwiotlbPool
import Testing
import Virtqueue

@testable import perfbench

/// `--verify` finds what it is there to find.
@Suite(.enabled(if: hasUring, "io_uring is not permitted here"))
struct FrameLoopTests {
    private static let lane = NetLane(via: .virtqueue, path: .direct)

    /// A loop over a loopback in this thread.
    private typealias Loop = FrameLoop<IdentityMapper, TamperedDevice>

    private func verify(
        frameByteCount: Int, tamper: @escaping (HostMemory, FrameMemory) -> Void
    ) throws {
        try withLoop(frameByteCount: frameByteCount, tamper: tamper) { loop, _ in
            try loop.verify(frameCount: 100, burst: 4, lane: Self.lane)
        }
    }

    /// - Parameter tamper: what is done to the guest's memory after each turn of the device.
    private func withLoop(
        frameByteCount: Int, tamper: @escaping (HostMemory, FrameMemory) -> Void = { _, _ in },
        _ body: (inout Loop, HostMemory) throws -> Void
    ) throws {
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let guestMap = MemoryMap(guest, at: GuestBuffers.base)
        let whole = try MemoryMap(
            guestMap.regions + MemoryMap(window, at: Memories.windowBase).regions)
        let pool = try BouncePool(
            window: window, at: Memories.windowBase, privateMemory: guestMap)
        let setting = NetQueueSetting(size: 16, isPacked: false, hasOffloads: false)
        let layout = setting.layout(features: setting.features)
        let frames = FrameMemory(guest, FrameFormat(plain: frameByteCount), queueSize: 16)
        let transmitter = try NetTransmitter(
            mapper: IdentityMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: setting.features)
        let receiver = try NetReceiver(
            mapper: IdentityMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: setting.features, buffers: frames.receive)
        func setup(_ queue: QueueConfiguration) -> QueueSetup {
            QueueSetup(
                configuration: queue, memoryMap: whole, position: .start(isPacked: false),
                kick: nil, call: nil)
        }
        let pair = try NetQueuePair(
            .loopback, transmit: setup(transmitter.queueConfiguration),
            receive: setup(receiver.queueConfiguration))
        var loop = FrameLoop(
            transmitter: transmitter, receiver: receiver,
            device: TamperedDevice(LocalNetDevice(pair)) { tamper(guest, frames) },
            frames: frames, queueSize: 16)
        defer { loop.end() }
        try body(&loop, guest)
    }

    @Test func `frames are written before they are sent, and read when they have come`() throws {
        try withLoop(frameByteCount: 200) { loop, guest in
            let sample = try loop.run(burst: 4, seconds: 0.001)
            #expect(sample.frameCount > 0 && sample.frameCount == sample.receivedCount)
            // Of a burst the n-th is filled with n.
            let buffer = GuestBuffers.offset(of: loop.frames.transmit.first)
            let bytes = guest.bytes(at: buffer, byteCount: NetHeader.byteCount + 200)
            let format = loop.frames.format
            #expect(Array(bytes.prefix(26)) == format.header.bytes + format.prefix)
            #expect(Set(bytes.dropFirst(26)).count == 1)
            let written = (0..<loop.frames.transmit.count).map {
                guest.bytes(at: $0 * loop.frames.transmit.spacing + 211, byteCount: 1)[0]
            }
            #expect(Set(written) == [0, 1, 2, 3])
            let read = loop.sum
            #expect(read > 0)
        }
    }

    @Test(arguments: [14, 64, 1514, 9000])
    func `frames that come back as they were sent are fine`(frameByteCount: Int) throws {
        try verify(frameByteCount: frameByteCount) { _, _ in }
    }

    @Test(arguments: [(64, 63), (9000, 0), (9000, 4096)])
    func `a byte that differs is found`(frameByteCount: Int, position: Int) {
        let failure = #expect(throws: CommandFailure.self) {
            try verify(frameByteCount: frameByteCount) { guest, frames in
                // In every buffer, so that it hits the one of a frame in which that byte is.
                let place = (position + NetHeader.byteCount) % frames.receiveBufferByteCount
                for buffer in 0..<16 {
                    guest.fill(
                        at: frames.receiveOffset(buffer) + place, byteCount: 1, with: 0x5A)
                }
            }
        }
        #expect(failure?.status == .wrongData)
        #expect(failure?.message.contains("did not arrive direct via virtqueue") == true)
    }
}

/// A device after each turn of which something is done.
private struct TamperedDevice: ~Copyable, NetDeviceEnd {
    private var device: LocalNetDevice
    private let tamper: () -> Void

    init(_ device: consuming LocalNetDevice, _ tamper: @escaping () -> Void) {
        self.device = device
        self.tamper = tamper
    }

    var cpuTime: CPUTime { device.cpuTime }
    var drops: [String: Int]? { mutating get { device.drops } }

    mutating func advance(kicksTransmit: Bool, kicksReceive: Bool) throws {
        try device.advance(kicksTransmit: kicksTransmit, kicksReceive: kicksReceive)
        tamper()
    }

    mutating func wait(_ count: Int) throws { try device.wait(count) }
    mutating func end() { device.end() }
}
