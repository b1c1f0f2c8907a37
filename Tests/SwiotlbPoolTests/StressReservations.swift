import SharedMemory
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

/// Outcomes that a worker of a stress test was told by other threads, and how often each.
final class StressMailbox: Sendable {
    private struct State {
        var outcomes: [(Int, ReservationOutcome)] = []
        var toldCounts: [Int: Int] = [:]
    }

    private let state = Mutex(State())

    func expect(_ number: Int) { state.withLock { $0.toldCounts[number] = 0 } }

    /// The reservation was not taken into the queue: nothing is to be told.
    func forget(_ number: Int) { state.withLock { $0.toldCounts[number] = nil } }

    func put(_ number: Int, _ outcome: ReservationOutcome) {
        state.withLock {
            $0.outcomes.append((number, outcome))
            $0.toldCounts[number, default: 1000] += 1
        }
    }

    func takeAll() -> [(Int, ReservationOutcome)] {
        state.withLock { state in
            defer { state.outcomes = [] }
            return state.outcomes
        }
    }

    /// Every outcome is told exactly once.
    func check(_ board: StressBoard) {
        let counts = state.withLock { $0.toldCounts }
        if counts.values.contains(where: { $0 != 1 }) {
            board.fail("an outcome was not told once")
        }
    }
}

/// The reservations of one worker.
struct StressReservations: Sendable {
    struct Entry: Sendable {
        let payload: StressPayload
        let reservation: SlotReservation
        /// Whether it was cancelled after it was granted: its slots are gone, whatever is told.
        var isGivenBack = false
    }

    let mailbox = StressMailbox()
    var reservations: [Int: Entry] = [:]
    private var nextNumber = 0

    /// Waits for slots, if the queue has a place.
    mutating func add(
        _ request: MapRequest, _ payload: StressPayload, deadline: ContinuousClock.Instant?,
        _ board: StressBoard
    ) {
        let number = nextNumber
        nextNumber += 1
        mailbox.expect(number)
        do throws(ReservationFailure) {
            let mailbox = mailbox
            let reservation = try board.fixture.pool.reserve(request, deadline: deadline) {
                mailbox.put(number, $0)
            }
            reservations[number] = Entry(payload: payload, reservation: reservation)
        } catch {
            if error != .queueFull { board.fail("\(error) thrown") }
            mailbox.forget(number)
            board.giveChunk(payload.chunk)
        }
    }

    /// Cancels a reservation, whatever has become of it.
    mutating func cancelOne() {
        guard let number = reservations.keys.first, var entry = reservations[number] else { return }
        if entry.reservation.cancel() { return }
        entry.isGivenBack = true
        reservations[number] = entry
    }

    /// What was granted and can be mapped; the rest is over.
    mutating func takeGranted(_ board: StressBoard) -> [(SlotReservation, StressPayload)] {
        var granted: [(SlotReservation, StressPayload)] = []
        for (number, outcome) in mailbox.takeAll() {
            guard let entry = reservations.removeValue(forKey: number) else {
                board.fail("an outcome was told twice")
                continue
            }
            if case .granted(let reservation) = outcome, !entry.isGivenBack {
                granted.append((reservation, entry.payload))
            } else {
                board.giveChunk(entry.payload.chunk)
            }
        }
        return granted
    }

    /// Gives back what was granted.
    mutating func drop(_ board: StressBoard) {
        for (_, payload) in takeGranted(board) { board.giveChunk(payload.chunk) }
    }
}
