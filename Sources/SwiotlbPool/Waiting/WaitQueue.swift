import DequeModule
import Glibc
import SharedMemory
import Synchronization

/// Who waits for slots, first come, first served.
///
/// Whoever frees slots while somebody waits serves the queue: it claims runs for the reservations
/// at the head, in order, until one does not fit, and tells those that it served. So slots are
/// handed over; nobody has to try again, and a long run is waited for as patiently as a short one:
/// while the head does not fit, ``BounceMapper/map(_:_:_:)`` refuses newcomers. A reservation that
/// its owner's quota holds up is passed over, with all others of that owner, and keeps its place;
/// newcomers of the owner stand back as well.
///
/// **Orderings**: G1 and G2 of ``PoolGate``. All else is under the lock. Outcomes are told after
/// it.
final class WaitQueue: Sendable {
    /// Mappers that there are, whose caches are looked through.
    let mapperLimit = MonotonicLimit()

    private let limit: Int
    private let allocator: SlotAllocator
    private let table: SlotTable
    private let mappers: [MapperState]
    private let gate: PoolGate
    private let state = Mutex(State())
    private let reserved = Atomic(0)
    /// Whether the head waits for slots, not for a quota.
    private let isShort = Atomic(false)

    private struct State {
        var waiting = Deque<SlotReservation>()
        var grantedCount = 0
        var longestWait = Duration.zero
        /// Threads that serve until there is nobody to tell.
        var servers: [pthread_t] = []
    }

    private typealias Told = (reservation: SlotReservation, outcome: ReservationOutcome)

    init(
        limit: Int, allocator: SlotAllocator, table: SlotTable, mappers: [MapperState],
        gate: PoolGate
    ) {
        self.limit = limit
        self.allocator = allocator
        self.table = table
        self.mappers = mappers
        self.gate = gate
    }

    /// Whether newcomers have to stand back.
    var isShortOfSlots: Bool { isShort.load(ordering: .relaxed) }

    /// Slots of reservations that were granted and not mapped yet.
    var reservedSlotCount: Int { reserved.load(ordering: .relaxed) }

    /// Joins the queue, and is served at once where it can be.
    func add(_ reservation: SlotReservation) throws(ReservationFailure) {
        let told = try state.withLock { state throws(ReservationFailure) in
            guard state.waiting.count < limit else { throw .queueFull }
            state.waiting.append(reservation)
            reservation.request.owner.didBeginToWait()
            // G2.
            gate.setHasWaiters(true)
            AsymmetricBarrier.heavy()
            let told = serve(&state)
            // Whoever watches the clock may have looked before there was a reservation.
            guard let deadline = reservation.deadline, deadline <= .now else { return told }
            return told + leave(reservation, .deadlinePassed, &state)
        }
        tell(told)
    }

    /// Serves the queue as far as slots reach.
    ///
    /// Where this is called by a `body` that is being told, because it gave its slots back, the
    /// call that tells it goes on to serve: so a queue of reservations that are all dropped does
    /// not eat up the stack.
    func serve() {
        let thread = pthread_self()
        let isNested = state.withLock { state in
            if state.servers.contains(thread) { return true }
            state.servers.append(thread)
            return false
        }
        if isNested { return }
        while serveOnce(thread) {}
    }

    /// - Returns: false where nobody was told, and the thread does not serve any more.
    private func serveOnce(_ thread: pthread_t) -> Bool {
        let told = state.withLock { state in
            let told = serve(&state)
            if told.isEmpty { state.servers.removeAll { $0 == thread } }
            return told
        }
        tell(told)
        return !told.isEmpty
    }

    /// Fails all who wait: the pool is gone, and with it whoever could free slots.
    func close() {
        tell(
            state.withLock { state in
                defer { state.waiting.removeAll() }
                return state.waiting.map { reservation in
                    reservation.request.owner.didEndToWait()
                    return (reservation, .failed(.cancelled))
                }
            })
    }

    /// Takes a reservation out of the queue.
    ///
    /// - Returns: false where it does not wait any more.
    func remove(_ reservation: SlotReservation, _ failure: ReservationFailure) -> Bool {
        let told = state.withLock { leave(reservation, failure, &$0) }
        tell(told)
        return !told.isEmpty
    }

    /// Takes a reservation out, if it waits, and serves the others: it may have been what they
    /// waited behind.
    private func leave(
        _ reservation: SlotReservation, _ failure: ReservationFailure, _ state: inout State
    ) -> [Told] {
        guard let index = state.waiting.firstIndex(where: { $0 === reservation }) else { return [] }
        state.waiting.remove(at: index)
        reservation.request.owner.didEndToWait()
        return [(reservation, .failed(failure))] + serve(&state)
    }

    /// Ends the reservations whose deadline has passed.
    ///
    /// - Returns: the next deadline.
    func expire(now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        let (told, next) = state.withLock { state in
            var told: [Told] = []
            var next: ContinuousClock.Instant?
            var kept = Deque<SlotReservation>()
            for reservation in state.waiting {
                if let deadline = reservation.deadline, deadline <= now {
                    reservation.request.owner.didEndToWait()
                    told.append((reservation, .failed(.deadlinePassed)))
                } else {
                    kept.append(reservation)
                    if let deadline = reservation.deadline {
                        next = next.map { min($0, deadline) } ?? deadline
                    }
                }
            }
            state.waiting = kept
            if !told.isEmpty { told += serve(&state) }
            return (told, next)
        }
        tell(told)
        return next
    }

    /// Slots of a granted reservation that nobody mapped.
    func giveBack(_ run: SlotRun, _ runState: RunState, owner: PoolOwner) {
        owner.give(run.count)
        didMap(run)
        table.store(runState.with(.free), at: run.first)
        allocator.release(run)
        if gate.hasWaiters { serve() }
    }

    /// A reservation has become a mapping, and is counted as one.
    func didMap(_ run: SlotRun) {
        reserved.wrappingSubtract(run.count, ordering: .relaxed)
    }

    func add(to statistics: inout PoolStatistics) {
        state.withLock { state in
            statistics.waiterCount += state.waiting.count
            statistics.grantedCount += state.grantedCount
            statistics.longestWait = max(statistics.longestWait, state.longestWait)
        }
        statistics.usedSlotCount += reservedSlotCount
    }

    /// Claims a run from the bitmap; where there is none, also from among those that mappers have
    /// cached. Needs no lock.
    ///
    /// - Parameter mapper: the one that claims, whose caches are its own to collect.
    func claim(
        _ request: SlotRequest, preferring area: Int, for mapper: MapperState? = nil
    ) -> Int? {
        if let first = allocator.claim(request, preferring: area) { return first }
        if let mapper, mapper.caches.collect(into: allocator, table: table) {
            mapper.caches.forgetAll()
            if let first = allocator.claim(request, preferring: area) { return first }
        }
        return collectCaches() ? allocator.claim(request, preferring: area) : nil
    }

    /// Frees the runs that mappers have cached.
    ///
    /// - Returns: whether there was one.
    /// - Complexity: 33 loads a mapper; a heavy barrier where anything is cached.
    func collectCaches() -> Bool {
        let mapperCount = mapperLimit.current
        var first = 0
        while first < mapperCount, mappers[first].caches.isEmpty(table) { first += 1 }
        guard first < mapperCount else { return false }
        gate.beginCollecting()
        defer { gate.endCollecting() }
        var found = false
        for index in first..<mapperCount
        where mappers[index].caches.collect(into: allocator, table: table) {
            found = true
        }
        return found
    }

    private func serve(_ state: inout State) -> [Told] {
        var told: [Told] = []
        var isShort = false
        // Owners at their quota.
        var held: [PoolOwner] = []
        var index = 0
        while index < state.waiting.count {
            let reservation = state.waiting[index]
            let request = reservation.request
            guard !held.contains(where: { $0 === request.owner }),
                request.owner.take(request.slots.slotCount)
            else {
                if held.last !== request.owner { held.append(request.owner) }
                index += 1
                continue
            }
            guard let first = claim(request.slots, preferring: request.area) else {
                request.owner.give(request.slots.slotCount)
                isShort = true
                break
            }
            state.waiting.remove(at: index)
            request.owner.didEndToWait()
            let run = SlotRun(first: first, count: request.slots.slotCount)
            reservation.grant(run, table.begin(run, .reserved))
            reserved.wrappingAdd(run.count, ordering: .relaxed)
            state.grantedCount += 1
            state.longestWait = max(
                state.longestWait, ContinuousClock.now - reservation.begin)
            told.append((reservation, .granted(reservation)))
        }
        self.isShort.store(isShort, ordering: .relaxed)
        if state.waiting.isEmpty { gate.setHasWaiters(false) }
        return told
    }

    private func tell(_ told: [Told]) {
        for (reservation, outcome) in told { reservation.tell(outcome) }
    }
}

/// A number that only grows.
struct MonotonicLimit: ~Copyable, Sendable {
    private let value = Atomic(0)

    var current: Int { value.load(ordering: .acquiring) }

    func store(_ limit: Int) { value.max(limit, ordering: .releasing) }
}
