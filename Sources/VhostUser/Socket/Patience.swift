import SharedMemory
import Virtqueue

/// How long a call waits for its peer, and what ends the wait before.
struct Patience: Sendable {
    /// Signalled once, and left so, when everything is to end.
    var stop: EventDescriptor?
    /// Given up at this moment.
    var deadline: ContinuousClock.Instant?
    private let milliseconds: Int?

    /// How long after the deadline a wait that is not disturbed has ended for certain.
    private static let punctuality = Duration.milliseconds(100)

    /// What one message takes at most, from its first byte on: peers send messages at once, and take answers.
    private static let messageMilliseconds = 5000

    init(stop: EventDescriptor? = nil, milliseconds: Int? = nil) {
        self.stop = stop
        self.milliseconds = milliseconds
        deadline = milliseconds.map { .now + .milliseconds($0) }
    }

    /// The same time once more, where the deadline passed unseen: this process stood still, and often
    /// the whole machine with it, so the peer has not had its time.
    var afterStandstill: Patience? {
        guard let deadline, deadline.duration(to: .now) > Self.punctuality else { return nil }
        return Patience(stop: stop, milliseconds: milliseconds)
    }

    /// For a message that is under way: with a deadline in any case.
    var forOneMessage: Patience {
        deadline == nil ? Patience(stop: stop, milliseconds: Self.messageMilliseconds) : self
    }

    /// What is left, as `poll(2)` takes it.
    var timeoutMilliseconds: Int32 {
        guard let deadline else { return -1 }
        let left = ContinuousClock.now.duration(to: deadline)
        // Rounded up: a wait of zero that is repeated would spin.
        let milliseconds =
            left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1
        return left <= .zero ? 0 : Int32(clamping: milliseconds)
    }
}
