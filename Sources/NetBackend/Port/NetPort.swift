public import SharedMemory
import Uring
public import Virtqueue

/// Where a pair's frames go to and come from: nowhere, back to where they came from, or a TAP device.
///
/// A turn of a pair is ``send(_:_:_:_:)`` for each frame of a burst, then ``turn(_:_:_:)`` once. A port is
/// generic, not existential, wherever frames pass: each kind has its own copy of the loop, with the port's
/// code in it.
///
/// **Threading.** One thread, that of the pair.
protocol NetPort: ~Copyable, SendableMetatype {
    /// Hands a frame on.
    ///
    /// - Parameters:
    ///   - frame: its parts hold until the buffer is given back.
    ///   - token: that of its buffer, for ``NetSending/underWay``.
    ///   - receive: the queue of the same pair by which the driver receives; `nil` where it is not running.
    ///   - ring: where to prepare operations. It is entered once for all frames of a turn.
    mutating func send(
        _ frame: borrowing NetFrame, _ token: ChainToken, _ receive: inout ReceiveQueue?,
        _ ring: inout NetRing
    ) throws(NetFault) -> NetSending

    /// Ends a burst: gives back frames that have got there, and delivers what has come.
    ///
    /// - Returns: how many frames these were.
    mutating func turn(
        _ transmit: inout TransmitQueue?, _ receive: inout ReceiveQueue?, _ ring: inout NetRing
    ) throws(NetFault) -> Int

    /// The receive queue has started, with what was negotiated, or is about to stop.
    mutating func beganReceiving(_ features: VirtioFeatures)
    mutating func endedReceiving()

    /// Forgets frames that have come and that no receive queue has taken.
    ///
    /// - Returns: how many.
    mutating func forgetFrames() -> Int

    /// Takes in the end of an operation that the port has prepared.
    mutating func note(_ completion: RingCompletion)

    /// How many frames of the transmit queue are under way.
    var underWayCount: Int { get }

    /// Whether an operation of the port may end while its thread looks for work.
    var hasOperations: Bool { get }

    /// Ends what is under way in the ring, before that is destroyed.
    mutating func end(_ ring: inout NetRing)
}

/// What a port that is done with a frame at once leaves out.
extension NetPort where Self: ~Copyable {
    mutating func turn(
        _ transmit: inout TransmitQueue?, _ receive: inout ReceiveQueue?, _ ring: inout NetRing
    ) throws(NetFault) -> Int { 0 }
    mutating func beganReceiving(_ features: VirtioFeatures) {}
    mutating func endedReceiving() {}
    mutating func forgetFrames() -> Int { 0 }
    mutating func note(_ completion: RingCompletion) {}
    var underWayCount: Int { 0 }
    var hasOperations: Bool { false }
    mutating func end(_ ring: inout NetRing) {}
}

/// What became of a frame that a port was handed.
enum NetSending {
    /// It is there; its bytes are not needed any more.
    case done
    /// It cannot get there.
    case rejected
    /// It is on its way; the port gives its buffer back by ``TransmitQueue/finish(_:byteCount:)``.
    case underWay
    /// There is no room for it now: it stays in the transmit queue.
    case full
}

/// Why a pair cannot go on as it is.
public enum NetFault: Error, Equatable {
    /// The driver broke the rules of a queue.
    case transmit(QueueFault)
    case receive(QueueFault)
    case control(QueueFault)
    /// The system refused something, or what the port is of is gone.
    case system(SystemCallError)
}
