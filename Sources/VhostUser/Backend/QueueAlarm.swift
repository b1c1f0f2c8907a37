import Logging
import SharedMemory
import Synchronization
import Virtqueue

/// How a frontend is told that a queue has stopped itself.
///
/// **Threading.** Any thread: the device raises it, the control plane sets it.
final class QueueAlarm: Sendable {
    private let index: Int
    private let logger: Logger
    private let event = Mutex<EventDescriptor?>(nil)
    private let wasLogged = Atomic(false)

    init(queue index: Int, logger: Logger) {
        self.index = index
        self.logger = logger
    }

    /// What to signal from now on, if anything (`SET_VRING_ERR`).
    func set(_ event: EventDescriptor?) {
        self.event.withLock { $0 = event }
    }

    /// Tells it. Only the first time is worth a line: a guest can repeat this as often as it likes.
    ///
    /// - Parameter isControlPlane: whether this is the thread that serves the connection. A frontend
    ///   can make writing to its event wait; threads of the device are interrupted then.
    func raise(_ fault: QueueFault, isControlPlane: Bool = false) {
        // Relaxed: nothing depends on it but the line.
        if !wasLogged.exchange(true, ordering: .relaxed) {
            logger.error("queue \(index) stopped: \(fault)")
        }
        let event = event.withLock { $0 }
        if isControlPlane { event?.signalApart() } else { event?.signal() }
    }
}
