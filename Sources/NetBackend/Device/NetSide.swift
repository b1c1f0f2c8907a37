import SharedMemory
import Virtqueue

/// Which of a pair's queues.
enum NetSide: Int, CaseIterable {
    case receive
    case transmit
    /// The device's control queue, which the first pair serves along with its own.
    case control

    var wake: NetWake {
        switch self {
        case .receive: .receiveKick
        case .transmit: .transmitKick
        case .control: .controlKick
        }
    }
}

/// What a pair knows of one of its queues besides the queue itself.
struct NetEnds {
    /// How the driver says that there are buffers; `nil` where it never does.
    var kick: EventDescriptor?
    /// How the driver is told that buffers were used.
    var call: EventDescriptor?
    var onFault: @Sendable (QueueFault) -> Void = { _ in }
    /// Whether the queue was started, and not stopped since. One that failed still counts.
    var isStarted = false
    /// Where the queue was when it failed.
    var position: QueuePosition?

    init() {}

    init(_ setup: QueueSetup) {
        kick = setup.kick
        call = setup.call
        onFault = setup.onFault
        isStarted = true
    }
}
