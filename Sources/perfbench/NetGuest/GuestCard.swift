import BasicContainers
import CommandSupport
import GuestDriver
import SharedMemory
import SwiotlbPool
import Virtqueue

/// The driver of a network card, between a network stack and a pair of queues: sends what the stack sends, and
/// hands it what is received.
///
/// **Threading.** One thread, which sleeps where there is nothing to do. **Cost.** Nothing is allocated after
/// `init`; a bounced frame is copied once, by the mapper.
struct GuestCard<Mapper: DMAMapper & ~Copyable>: ~Copyable {
    private var transmitter: NetTransmitter<Mapper>
    private var receiver: NetReceiver<Mapper>
    private let tap: GuestTap
    private var frames: GuestFrames
    private var events: GuestEvents
    /// A frame that was read, and that the pool has had no room for.
    private var heldBack: (buffer: Int, byteCount: Int)?
    /// The buffers of the frame that is being received, how long they are, and how many are yet to come.
    private var arrived: RigidArray<Int>
    private var arrivedByteCount = 0
    private var missingBufferCount = 0

    private(set) var statistics = GuestStatistics()

    /// How many frames, and how many of their bytes, are handed over before the other side is looked at: it
    /// begins with the first while the next are copied.
    private static var burstCount: Int { 32 }
    private static var burstByteCount: Int { 65536 }

    init(
        transmitter: consuming NetTransmitter<Mapper>, receiver: consuming NetReceiver<Mapper>,
        tap: GuestTap, frames: GuestFrames, events: GuestEvents
    ) {
        arrived = RigidArray(capacity: receiver.queueConfiguration.size)
        self.transmitter = transmitter
        self.receiver = receiver
        self.tap = tap
        self.frames = frames
        self.events = events
        self.transmitter.disableCalls()
        self.receiver.disableCalls()
    }

    /// Moves what there is to move, both ways.
    ///
    /// - Returns: whether there was anything.
    mutating func turn() throws -> Bool {
        let takenBackCount = try takeBack()
        let sentCount = try send()
        if transmitter.publish() { events.transmitKick.signal() }
        let receivedCount = try receive()
        if receiver.publish() { events.receiveKick.signal() }
        return takenBackCount + sentCount + receivedCount > 0
    }

    /// Sleeps until there is something to do, or for a while.
    ///
    /// - Returns: false where nothing came.
    mutating func wait() -> Bool {
        statistics.waitCount += 1
        // Buffers that are done with are of interest where there are no others.
        let lacksBuffer = !frames.hasFree || heldBack != nil
        var isMissed = receiver.enableCalls()
        if lacksBuffer, transmitter.enableCalls() { isMissed = true }
        let hasCome = isMissed || events.wait(forFrames: !lacksBuffer)
        receiver.disableCalls()
        transmitter.disableCalls()
        return hasCome
    }

    /// Lets go of everything, after the device is known to be done with it.
    mutating func end() {
        transmitter.abandon()
        receiver.end()
    }

    /// Takes back the buffers of frames that the device has sent.
    private mutating func takeBack() throws(QueueFault) -> Int {
        var count = 0
        while let buffer = try transmitter.nextSent() {
            frames.giveBack(Int(buffer))
            count += 1
        }
        return count
    }

    /// Sends a burst of what the stack has.
    private mutating func send() throws -> Int {
        var count = 0
        var byteCount = 0
        while count < Self.burstCount, byteCount < Self.burstByteCount, let frame = try next() {
            guard try send(frame.buffer, byteCount: frame.byteCount) else {
                heldBack = frame
                break
            }
            count += 1
            byteCount += frame.byteCount
        }
        statistics.sent.add(frameCount: count, byteCount: byteCount - count * NetHeader.byteCount)
        return count
    }

    /// The next frame that the stack sends, in one of the guest's buffers.
    private mutating func next() throws(CommandFailure) -> (buffer: Int, byteCount: Int)? {
        if let frame = heldBack.take() { return frame }
        guard let buffer = frames.take() else { return nil }
        guard let byteCount = try tap.read(into: frames.hostRange(buffer)) else {
            frames.giveBack(buffer)
            return nil
        }
        return (buffer, byteCount)
    }

    /// - Returns: false where the pool has no room now.
    private mutating func send(_ buffer: Int, byteCount: Int) throws(MapRefusal) -> Bool {
        do throws(MapRefusal) {
            let range = frames.range(buffer, byteCount: byteCount)
            return try transmitter.send(range, tag: UInt64(buffer))
        } catch {
            // Where nothing is under way, nothing will make room.
            guard error.isTemporary, transmitter.inflightCount > 0 else { throw error }
            return false
        }
    }

    /// Hands the stack what has come, buffers of a frame together.
    private mutating func receive() throws -> Int {
        var count = 0
        while count < Self.burstCount, let (buffer, byteCount) = try receiver.next() {
            if missingBufferCount == 0 {
                missingBufferCount = frames.bufferCount(ofFrameIn: buffer)
                guard missingBufferCount > 0, missingBufferCount <= arrived.capacity else {
                    throw CommandFailure(
                        .ioError,
                        "the backend says that a frame is in \(missingBufferCount) buffers of "
                            + "\(arrived.capacity)")
                }
            }
            tap.append(frames.receivedRange(buffer, byteCount: byteCount))
            arrived.append(buffer)
            arrivedByteCount += byteCount
            missingBufferCount -= 1
            if missingBufferCount == 0 { handOver() }
            count += 1
        }
        return count
    }

    /// Hands the stack the frame whose buffers are all there, and gives them to the device again.
    private mutating func handOver() {
        if tap.write() {
            statistics.received.add(
                frameCount: 1, byteCount: arrivedByteCount - NetHeader.byteCount)
        } else {
            statistics.refusedCount += 1
        }
        arrivedByteCount = 0
        while !arrived.isEmpty { receiver.giveBack(arrived.removeLast()) }
    }
}
