import SharedMemory
import Synchronization
import TestSupport

@testable import SwiotlbPool

/// The outcomes that a test was told, in order: what an event loop would queue.
final class OutcomeLog: Sendable {
    enum Told: Equatable {
        case granted(Int)
        case failed(Int, ReservationFailure)
    }

    private struct State {
        var told: [Told] = []
        var reservations: [Int: SlotReservation] = [:]
    }

    private let state = Mutex(State())

    var told: [Told] { state.withLock { $0.told } }

    /// What `reserve` is to call for the reservation of this number.
    func body(_ number: Int) -> @Sendable (ReservationOutcome) -> Void {
        { [self] outcome in
            state.withLock { state in
                switch outcome {
                case .granted(let reservation):
                    state.told.append(.granted(number))
                    state.reservations[number] = reservation
                case .failed(let failure): state.told.append(.failed(number, failure))
                }
            }
        }
    }

    /// The reservation that was granted under this number, which the log then forgets.
    func take(_ number: Int) -> SlotReservation? {
        state.withLock { $0.reservations.removeValue(forKey: number) }
    }
}

extension PoolFixture {
    /// A buffer of so many whole slots.
    func slots(_ count: Int) -> GuestRange { buffer(0, count * slotByteCount) }

    /// Reserves so many slots, and has the log told.
    @discardableResult
    func reserve(
        _ number: Int, slots count: Int, for mapper: borrowing BounceMapper, _ log: OutcomeLog,
        deadline: ContinuousClock.Instant? = nil
    ) throws -> SlotReservation {
        try pool.reserve(
            mapper.request(for: slots(count), .toDevice), deadline: deadline, log.body(number))
    }

    /// Maps all of the pool in runs of so many slots.
    func fill(_ mapper: inout BounceMapper, runsOf count: Int) -> [MappingBox] {
        var boxes: [MappingBox] = []
        while case .success(let box) = mapper.attempt(slots(count)) { boxes.append(box) }
        return boxes
    }
}

extension BounceMapper {
    /// Maps what the log was granted under a number.
    mutating func mapGranted(_ number: Int, _ log: OutcomeLog) throws -> MappingBox {
        struct NotGranted: Error {}
        guard let reservation = log.take(number) else { throw NotGranted() }
        return MappingBox(try map(reservation))
    }
}
