public import SharedMemory
import Synchronization

/// A buffer that was checked, and what a mapping of it needs: made by
/// ``BounceMapper/request(for:_:_:)``, for ``BouncePool/reserve(_:deadline:_:)``.
public struct MapRequest: Sendable {
    public let buffer: GuestRange
    public let direction: DMADirection
    public let attributes: MapAttributes
    let slots: SlotRequest
    let area: Int
    let owner: PoolOwner
    /// That of the pool.
    let queue: WaitQueue
}

/// Why a reservation came to nothing.
public enum ReservationFailure: Error, Hashable, Sendable {
    case deadlinePassed
    case cancelled
    /// As many reservations wait as the pool was configured for.
    case queueFull
}

/// What becomes of a reservation: told once.
public enum ReservationOutcome: Sendable {
    /// The slots are the reservation's: map it with ``BounceMapper/map(_:)``.
    case granted(SlotReservation)
    case failed(ReservationFailure)
}

/// A place in the queue for slots, and the slots when its turn has come.
///
/// Dropping a reservation that was granted, without mapping it, gives the slots back.
public final class SlotReservation: Sendable {
    public let request: MapRequest
    public let deadline: ContinuousClock.Instant?

    let queue: WaitQueue
    let begin = ContinuousClock.now
    private let status = Mutex(Status.waiting)
    private let body: @Sendable (ReservationOutcome) -> Void

    private enum Status {
        case waiting
        case granted(SlotRun, RunState)
        case mapped
        case ended
    }

    init(
        _ request: MapRequest, deadline: ContinuousClock.Instant?, queue: WaitQueue,
        _ body: @escaping @Sendable (ReservationOutcome) -> Void
    ) {
        self.request = request
        self.deadline = deadline
        self.queue = queue
        self.body = body
    }

    deinit { giveBack() }

    /// Ends the reservation: takes it out of the queue, with the outcome
    /// ``ReservationFailure/cancelled``, or gives the slots back that it was granted.
    ///
    /// - Returns: whether it was still waiting.
    @discardableResult
    public func cancel() -> Bool {
        if queue.remove(self, .cancelled) { return true }
        giveBack()
        return false
    }

    /// Called by the queue, under its lock.
    func grant(_ run: SlotRun, _ state: RunState) {
        status.withLock { $0 = .granted(run, state) }
    }

    /// Called by the queue, without its lock, once.
    func tell(_ outcome: ReservationOutcome) {
        let isOver = status.withLock { status in
            if case .failed = outcome { status = .ended }
            guard case .ended = status else { return false }
            return true
        }
        if isOver, case .granted = outcome {
            // Cancelled between the grant and now.
            body(.failed(.cancelled))
        } else {
            body(outcome)
        }
    }

    /// The slots, for the one who asks first.
    func take(toMap isMapped: Bool) -> (SlotRun, RunState)? {
        status.withLock { status in
            guard case .granted(let run, let state) = status else { return nil }
            status = isMapped ? .mapped : .ended
            return (run, state)
        }
    }

    private func giveBack() {
        guard let (run, state) = take(toMap: false) else { return }
        queue.giveBack(run, state, owner: request.owner)
    }
}
