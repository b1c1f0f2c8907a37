import CommandSupport
import GuestDriver
import Histogram
import SharedMemory
import SwiotlbPool
import Virtqueue

/// The driver's side of a measurement: sends bursts of frames, and takes back what the device is done with
/// and what it has received.
struct FrameLoop<Mapper: DMAMapper & ~Copyable, Device: NetDeviceEnd & ~Copyable>: ~Copyable {
    var transmitter: NetTransmitter<Mapper>
    /// `nil` where nothing comes back.
    var receiver: NetReceiver<Mapper>?
    var device: Device
    var frames: FrameMemory
    private let queueSize: Int
    private let comesBack: Bool

    /// Frames that the device is done with, and that came back.
    private(set) var sentCount = 0
    private(set) var receivedCount = 0
    /// How many buffers of the frame at hand have not come yet.
    private var missingBufferCount = 0
    private var poolFullCount = 0
    /// How often in a row nothing has come back.
    private var waitCount = 0

    /// How long frames pass before they are counted.
    private static var warmUpNanoseconds: UInt64 { 5_000_000 }

    init(
        transmitter: consuming NetTransmitter<Mapper>, receiver: consuming NetReceiver<Mapper>?,
        device: consuming Device, frames: FrameMemory, queueSize: Int
    ) {
        self.transmitter = transmitter
        comesBack = receiver != nil
        self.receiver = receiver
        self.device = device
        self.frames = frames
        self.queueSize = queueSize
        self.transmitter.disableCalls()
        self.receiver?.disableCalls()
    }

    /// Keeps the queue full for a time.
    mutating func run(burst: Int, seconds: Double) throws -> NetSample {
        let target = queueSize - burst
        var sample = NetSample()
        var isWarm = false
        var begin = monotonicNanoseconds()
        var phaseEnd = begin + Self.warmUpNanoseconds
        var cpuBegin = device.cpuTime
        var countBegin = doneCount
        var now = begin
        while !Interruption.isRequested {
            now = monotonicNanoseconds()
            if now >= phaseEnd {
                if isWarm { break }
                isWarm = true
                countBegin = doneCount
                poolFullCount = 0
                cpuBegin = device.cpuTime
                begin = monotonicNanoseconds()
                phaseEnd = begin + UInt64(seconds * 1e9)
            }
            let hasRoom = transmitter.inflightCount <= target
            if hasRoom { try send(burst) }
            if try !turn(), !hasRoom { try wait() }
        }
        sample.frameCount = doneCount - countBegin
        sample.seconds = Double(now - begin) / 1e9
        sample.cpu = device.cpuTime - cpuBegin
        sample.poolFullCount = poolFullCount
        try drain()
        return sample
    }

    /// Sends one frame at a time, and notes how long each takes there and back.
    mutating func measureLatency(seconds: Double, into latencies: inout LatencyHistogram) throws {
        let end = monotonicNanoseconds() + UInt64(seconds * 1e9)
        var now: UInt64 = 0
        while now < end, !Interruption.isRequested {
            let begin = monotonicNanoseconds()
            let count = doneCount
            try send(1)
            while doneCount == count, !Interruption.isRequested {
                if try !turn() { try wait() }
            }
            now = monotonicNanoseconds()
            latencies.record(now - begin)
        }
        try drain()
    }

    /// Lets everything under way end.
    mutating func drain() throws {
        while transmitter.inflightCount > 0 || comesBack && receivedCount < sentCount {
            if try !turn() { try wait() }
        }
    }

    /// Ends the queues.
    mutating func end() {
        device.end()
        transmitter.abandon()
        receiver?.end()
    }

    /// What counts as done: a frame that came back, or, where none does, one that the device is done with.
    private var doneCount: Int { comesBack ? receivedCount : sentCount }

    /// Makes frames available, as many as there is room for.
    @inline(__always)
    private mutating func send(_ count: Int) throws {
        for _ in 0..<count {
            guard try send(frames.transmit.next()) else { return }
        }
    }

    /// - Returns: false where there is no room, in the queue or in the pool.
    @inline(__always)
    mutating func send(_ buffer: GuestRange) throws(MapRefusal) -> Bool {
        do throws(MapRefusal) {
            return try transmitter.send(buffer, tag: 0)
        } catch {
            guard error.isTemporary else { throw error }
            poolFullCount &+= 1
            return false
        }
    }

    /// Shows the device what was made, lets it go on, and takes back what it is done with.
    ///
    /// - Returns: whether there was anything of that.
    @inline(__always)
    private mutating func turn() throws -> Bool {
        try turn { _ in }
    }

    /// Nothing has come back: lets others go on.
    mutating func wait() throws {
        waitCount &+= 1
        try device.wait(waitCount)
    }

    /// - Parameter received: called with each buffer that has come.
    @inline(__always)
    mutating func turn(_ received: (ReceivedBuffer) throws -> Void) throws -> Bool {
        try device.advance(
            kicksTransmit: transmitter.publish(), kicksReceive: receiver?.publish() ?? false)
        var count = 0
        while try transmitter.nextSent() != nil { count &+= 1 }
        sentCount &+= count
        while let (buffer, byteCount) = try receiver?.next() {
            let isFirst = missingBufferCount == 0
            if isFirst { missingBufferCount = bufferCount(ofFrameIn: buffer) }
            try received(
                ReceivedBuffer(
                    offset: frames.receiveOffset(buffer), byteCount: byteCount, isFirst: isFirst,
                    isLast: missingBufferCount == 1))
            missingBufferCount &-= 1
            if missingBufferCount == 0 { receivedCount &+= 1 }
            receiver?.giveBack(buffer)
            count &+= 1
        }
        guard count > 0 else { return false }
        waitCount = 0
        return true
    }

    /// What the header of a frame says, in private memory; never less than one.
    @inline(__always)
    private func bufferCount(ofFrameIn buffer: Int) -> Int {
        let offset = frames.receiveOffset(buffer) &+ NetHeader.bufferCountOffset
        return max(Int(UInt16(littleEndian: frames.memory.load(UInt16.self, at: offset))), 1)
    }
}

/// A buffer that the device has written into.
struct ReceivedBuffer {
    /// Where in the guest's memory it begins.
    let offset: Int
    let byteCount: Int
    /// Whether a frame begins, or ends, here.
    let isFirst: Bool
    let isLast: Bool
}
