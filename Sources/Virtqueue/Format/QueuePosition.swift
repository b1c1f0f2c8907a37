/// How far a device has come in a queue: where it goes on after it was stopped, or after another
/// process has taken over.
///
/// All of what was taken from the queue before this position has been given back.
public struct QueuePosition: Hashable, Sendable {
    /// Where the next available buffer is: the free-running index of a split queue; the index in
    /// the ring, and the wrap counter in bit 15, of a packed one.
    public var available: UInt16
    /// Where the next used buffer goes, likewise. A split queue keeps this in its used ring, and
    /// what stands there counts.
    public var used: UInt16

    public init(available: UInt16, used: UInt16) {
        self.available = available
        self.used = used
    }

    /// A queue's position before its first use.
    public static func start(isPacked: Bool) -> QueuePosition {
        isPacked
            ? QueuePosition(available: 0x8000, used: 0x8000)
            : QueuePosition(available: 0, used: 0)
    }
}
