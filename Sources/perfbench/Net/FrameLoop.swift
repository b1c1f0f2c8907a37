import CommandSupport
import GuestDriver
import Histogram
import SharedMemory
import SwiotlbPool
import Virtqueue

/// The driver's side of a measurement: sends bursts of frames, and takes back what the device is done with
/// and what it has received.
///
/// It writes every frame before it sends it, and reads every one that has come, on either path, as a network's
/// user does. Otherwise frames of `direct` would stay in the device's cache, and nobody else would touch them.
struct FrameLoop<Mapper: DMAMapper & ~Copyable, Device: NetDeviceEnd & ~Copyable>: ~Copyable {
    var transmitter: NetTransmitter<Mapper>
    /// `nil` where nothing comes back.
    var receiver: NetReceiver<Mapper>?
    var device: Device
    var frames: FrameMemory
    /// Who sends what is received, where it is not the driver.
    let feed: FrameFeed?
    /// Whether the driver sends, and whether what it sends comes back.
    let sends: Bool
    private let comesBack: Bool
    private let queueSize: Int

    /// Frames that the device is done with, and that came.
    private(set) var sentCount = 0
    private(set) var receivedCount = 0
    /// The sum of all words that came: so that nobody can leave the reading out.
    private(set) var sum: UInt64 = 0
    /// How many buffers of the frame at hand have not come yet.
    private var missingBufferCount = 0
    /// Whether the frame at hand is of the feed: others use the interface, too.
    private var isFed = true
    /// The end of the address that such a frame is to, and the one it is from, as a word.
    private let addresses: UInt64
    private var poolFullCount = 0
    /// How often in a row nothing has come back.
    private var waitCount = 0

    /// How long frames pass before they are counted.
    private static var warmUpNanoseconds: UInt64 { 5_000_000 }

    init(
        transmitter: consuming NetTransmitter<Mapper>, receiver: consuming NetReceiver<Mapper>?,
        device: consuming Device, frames: FrameMemory, queueSize: Int, sends: Bool = true,
        feed: FrameFeed? = nil
    ) {
        self.transmitter = transmitter
        comesBack = receiver != nil && feed == nil
        self.receiver = receiver
        self.sends = sends
        self.feed = feed
        self.device = device
        self.frames = frames
        self.queueSize = queueSize
        addresses = frames.format.prefix[Self.addressesOffset..<Self.addressesOffset + 8]
            .reversed().reduce(0) { $0 << 8 | UInt64($1) }
        self.transmitter.disableCalls()
        self.receiver?.disableCalls()
    }

    /// Keeps the queue full for a time, and is fed meanwhile.
    mutating func run(burst: Int, seconds: Double) throws -> NetSample {
        try feed?.start()
        let sample = try keepFull(burst: burst, seconds: seconds)
        try feed?.stop()
        try drain()
        return sample
    }

    private mutating func keepFull(burst: Int, seconds: Double) throws -> NetSample {
        let target = sends ? queueSize - burst : -1
        var isWarm = false
        var begin = mark
        var phaseEnd = monotonicNanoseconds() + Self.warmUpNanoseconds
        while !Interruption.isRequested {
            // Where others have the processors nothing may have passed yet, which is no rate.
            if monotonicNanoseconds() >= phaseEnd, doneCount > begin.frameCount {
                if isWarm { break }
                isWarm = true
                begin = mark
                phaseEnd = begin.time + UInt64(seconds * 1e9)
            }
            let hasRoom = transmitter.inflightCount <= target
            if hasRoom { try send(burst) }
            if try !turn(), !hasRoom { try wait() }
        }
        return NetSample(from: begin, to: mark)
    }

    /// Where all counts are now. Of the processor's time, that of the thread that feeds is left out: it is
    /// no part of what is measured.
    private var mark: NetSample.Mark {
        NetSample.Mark(
            frameCount: doneCount, receivedCount: receivedCount, poolFullCount: poolFullCount,
            refusedCount: feed?.refusedCount ?? 0,
            cpu: device.cpuTime - (feed?.cpuTime ?? CPUTime(user: 0, system: 0)),
            time: monotonicNanoseconds())
    }

    /// Sends one frame at a time, and notes how long each takes there and back, or, of one that is fed, until
    /// it is here.
    mutating func measureLatency(seconds: Double, into latencies: inout LatencyHistogram) throws {
        let end = monotonicNanoseconds() + UInt64(seconds * 1e9)
        var now: UInt64 = 0
        while now < end, !Interruption.isRequested {
            let begin = monotonicNanoseconds()
            let target = doneCount + (sends ? 1 : 0) + (feed != nil ? 1 : 0)
            if sends { try send(1) }
            try feed?.sendOne()
            while doneCount < target, !Interruption.isRequested {
                if try !turn() { try wait() }
            }
            now = monotonicNanoseconds()
            latencies.record(now - begin)
        }
        try drain()
    }

    /// Lets everything under way end.
    mutating func drain() throws {
        while transmitter.inflightCount > 0
            || receivedCount < (comesBack ? sentCount : feed?.fedCount ?? 0)
        {
            if try !turn() { try wait() }
        }
    }

    /// Ends the queues.
    mutating func end() {
        // What it has failed by is known, or something else was first.
        try? feed?.stop()
        device.end()
        transmitter.abandon()
        receiver?.end()
    }

    /// What counts as done: a frame that came, or that the device is done with; one that comes back once.
    private var doneCount: Int { comesBack ? receivedCount : sentCount &+ receivedCount }

    /// Makes frames available, as many as there is room for.
    @inline(__always)
    private mutating func send(_ count: Int) throws {
        for index in 0..<count {
            let buffer = frames.transmit.next()
            frames.write(buffer, UInt8(truncatingIfNeeded: index))
            guard try send(buffer) else { return }
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
        var sum = sum
        let frames = frames
        let isBusy = try turn { sum &+= frames.read($0) }
        self.sum = sum
        return isBusy
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
            if isFirst {
                missingBufferCount = bufferCount(ofFrameIn: buffer)
                if feed != nil { isFed = isOfFeed(frameIn: buffer) }
            }
            try received(
                ReceivedBuffer(
                    offset: frames.receiveOffset(buffer), byteCount: byteCount, isFirst: isFirst,
                    isLast: missingBufferCount == 1))
            missingBufferCount &-= 1
            if missingBufferCount == 0, isFed { receivedCount &+= 1 }
            receiver?.giveBack(buffer)
            count &+= 1
        }
        guard count > 0 else { return false }
        feed?.note(receivedCount: receivedCount)
        waitCount = 0
        return true
    }

    /// Whether a frame has the addresses of those that are fed.
    @inline(__always)
    private func isOfFeed(frameIn buffer: Int) -> Bool {
        let offset = frames.receiveOffset(buffer) &+ NetHeader.byteCount &+ Self.addressesOffset
        return UInt64(littleEndian: frames.memory.load(UInt64.self, at: offset)) == addresses
    }

    /// Where the last eight bytes of both addresses of a frame begin: an aligned word, behind the header.
    private static var addressesOffset: Int { 4 }

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
