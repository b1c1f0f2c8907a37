import Synchronization

/// Waiting for slots.
extension BouncePool {
    /// Waits for slots: for event loops.
    ///
    /// Reservations are served in the order in which they were made, by whoever frees slots; while
    /// one waits for slots, ``BounceMapper/map(_:_:_:)`` refuses newcomers.
    ///
    /// A driver that holds mappings of a request while it waits for more of it can wait for ever, as
    /// with any lock: let go before waiting. A reservation is for one buffer; a list
    /// (``BounceMapper/map(_:_:_:into:)``) that is refused has no place in the queue.
    ///
    /// - Parameters:
    ///   - request: from the mapper that is to map it; of this pool, or this traps.
    ///   - deadline: when to give up. Nobody watches the clock: arm a timer for what
    ///     ``expireReservations(now:)`` returns, and call that when it fires.
    ///   - body: called once with the outcome: by this thread before this returns, or by any thread
    ///     in a call into the pool, of a mapping as well as of an unmapping. It must not block: queue the outcome for the loop that maps, and
    ///     wake that up.
    /// - Returns: the reservation, to cancel it by.
    /// - Throws: ``ReservationFailure/queueFull``; `body` is not called then.
    @discardableResult
    public func reserve(
        _ request: MapRequest, deadline: ContinuousClock.Instant? = nil,
        _ body: @escaping @Sendable (ReservationOutcome) -> Void
    ) throws(ReservationFailure) -> SlotReservation {
        precondition(request.queue === waiters, "a request is of the pool that it is made to")
        let reservation = SlotReservation(request, deadline: deadline, queue: waiters, body)
        try waiters.add(reservation)
        return reservation
    }

    /// Ends the reservations whose deadline has passed.
    ///
    /// - Returns: the next deadline of those that wait on; `nil` where none has one.
    /// - Complexity: linear in the reservations that wait.
    @discardableResult
    public func expireReservations(
        now: ContinuousClock.Instant = .now
    ) -> ContinuousClock.Instant? {
        waiters.expire(now: now)
    }

    /// Waits for slots: for Swift concurrency.
    ///
    /// - Returns: the reservation, with its slots.
    /// - Throws: ``ReservationFailure``; ``ReservationFailure/cancelled`` when the task is.
    public func reserve(
        _ request: MapRequest, deadline: ContinuousClock.Instant? = nil
    ) async throws(ReservationFailure) -> SlotReservation {
        let slot = CancellationSlot()
        let timer = deadline.map { deadline in
            Task { [self] in
                try await Task.sleep(until: deadline)
                expireReservations()
            }
        }
        defer { timer?.cancel() }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                do throws(ReservationFailure) {
                    slot.fill(
                        try reserve(request, deadline: deadline) {
                            continuation.resume(returning: $0)
                        })
                } catch {
                    continuation.resume(returning: .failed(error))
                }
            }
        } onCancel: {
            slot.cancel()
        }
        switch outcome {
        case .granted(let reservation): return reservation
        case .failed(let failure): throw failure
        }
    }
}

/// Brings a task's cancellation to its reservation, whichever is first.
private final class CancellationSlot: Sendable {
    private enum State {
        case empty
        case cancelled
        case filled(SlotReservation)
    }

    private let state = Mutex(State.empty)

    func fill(_ reservation: SlotReservation) {
        let isCancelled = state.withLock { state in
            if case .cancelled = state { return true }
            state = .filled(reservation)
            return false
        }
        if isCancelled { reservation.queue.cancelWaiting(reservation) }
    }

    func cancel() {
        let reservation: SlotReservation? = state.withLock { state in
            defer { state = .cancelled }
            guard case .filled(let reservation) = state else { return nil }
            return reservation
        }
        // One that was granted already is the task's, which learns of the cancellation elsewhere.
        if let reservation { reservation.queue.cancelWaiting(reservation) }
    }
}

extension WaitQueue {
    fileprivate func cancelWaiting(_ reservation: SlotReservation) {
        _ = remove(reservation, .cancelled)
    }
}
