import SharedMemory
import Synchronization

@testable import SwiotlbPool

/// A reservation that waits.
final class ModelReservation {
    let number: Int
    let range: Range<Int>
    let direction: DMADirection
    let mapper: ModelMapper
    let need: PoolModel.Need
    var reservation: SlotReservation?

    init(
        number: Int, range: Range<Int>, direction: DMADirection, mapper: ModelMapper,
        need: PoolModel.Need
    ) {
        self.number = number
        self.range = range
        self.direction = direction
        self.mapper = mapper
        self.need = need
    }
}

/// Outcomes in the order in which they were told.
final class OutcomeSink: Sendable {
    private let outcomes = Mutex<[(number: Int, outcome: ReservationOutcome)]>([])

    func append(_ number: Int, _ outcome: ReservationOutcome) {
        outcomes.withLock { $0.append((number, outcome)) }
    }

    func popFirst() -> (number: Int, outcome: ReservationOutcome)? {
        outcomes.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    }
}

/// Waiting for slots: freed slots are handed over, in order.
extension PoolModel {
    /// The reservation that is next: the first that neither its owner's quota nor an earlier one of
    /// the same owner holds up.
    var next: ModelReservation? {
        var held = Set<Int>()
        for entry in waiting {
            let owner = entry.mapper.setting.owner
            if held.contains(owner) { continue }
            if hasQuota(owner, entry.need.slotCount) { return entry }
            held.insert(owner)
        }
        return nil
    }

    /// Whether a mapper of an owner is refused because others come first: those who wait for slots,
    /// or those of the same owner who wait for its quota.
    func standsBack(_ owner: Int) -> Bool {
        next != nil
            || owners[owner].quotaSlotCount != nil
                && waiting.contains { $0.mapper.setting.owner == owner }
    }

    func reserve(_ operation: ModelOperation, _ by: ModelMapper) {
        let byteCount = length(operation.a, atMost: by.mapper.maximumMappingByteCount)
        let first = operation.b % (privateMemory.byteCount - byteCount + 1)
        let range = first..<first + byteCount
        let direction = Self.directions[operation.c % 3]
        let need = need(Self.memoryAddress + UInt64(first), byteCount, by.setting)
        let request: MapRequest
        do throws(MapRefusal) {
            request = try by.mapper.request(for: buffer(range), direction)
        } catch {
            expectRefusal(error, by)
            let quota = owners[by.setting.owner].quotaSlotCount ?? .max
            return require(
                need.slotCount > quota
                    && error == .tooLarge(maximumByteCount: quota * slotByteCount), "\(error)")
        }
        let number = operation.number
        let entry = ModelReservation(
            number: number, range: range, direction: direction, mapper: by, need: need)
        waiting.append(entry)
        do throws(ReservationFailure) {
            entry.reservation = try pool.reserve(request) { [outcomes] in
                outcomes.append(number, $0)
            }
            require(waiting.count <= 4, "more wait than may")
        } catch {
            waiting.removeLast()
            require(error == .queueFull && waiting.count == 3, "\(error)")
        }
    }

    func cancelReservation(_ operation: ModelOperation) {
        guard !waiting.isEmpty else { return }
        // A target is a number of a step here.
        guard
            let index = operation.target.map({ target in
                waiting.firstIndex { $0.number == target }
            }) ?? operation.a % waiting.count
        else { return }
        let entry = waiting[index]
        chosen = entry.number
        require(entry.reservation?.cancel() == true, "a reservation that waits is not cancelled")
    }

    /// Takes in what reservations were told, and checks that nobody waits in vain.
    func settleReservations() {
        takeOutcomes()
        // One at a time: the pool has granted the others while these were taken, and grants again for
        // each that is given back.
        while failure == nil, !unwanted.isEmpty {
            let entry = unwanted.removeFirst()
            quotaUsed[entry.mapper.setting.owner] -= entry.need.slotCount
            require(entry.reservation?.cancel() == false, "a reservation was granted and waits")
            takeOutcomes()
        }
        guard failure == nil, let next else { return }
        require(!fits(next.need), "reservation \(next.number) waits for slots that are free")
    }

    private func takeOutcomes() {
        while failure == nil, let (number, outcome) = outcomes.popFirst() {
            guard let index = waiting.firstIndex(where: { $0.number == number }) else {
                return fail("reservation \(number) was told twice")
            }
            let entry = waiting[index]
            switch outcome {
            case .failed(let failure):
                waiting.remove(at: index)
                require(failure == .cancelled, "\(failure)")
            case .granted(let reservation):
                // In order, but for those whose quota holds them up: which may have ended in the
                // middle of a step that frees many runs.
                require(
                    next === entry || current.kind == .releaseQuarantine,
                    "reservation \(number) came before \(next?.number ?? -1)")
                waiting.remove(at: index)
                granted(entry, reservation)
            }
        }
    }

    private func granted(_ entry: ModelReservation, _ reservation: SlotReservation) {
        let owner = entry.mapper.setting.owner
        expected.grantedCount += 1
        require(hasQuota(owner, entry.need.slotCount), "a grant beyond the quota")
        guard entry.number % 4 > 0 else {
            // The driver does not want it any more.
            quotaUsed[owner] += entry.need.slotCount
            unwanted.append(entry)
            return
        }
        do throws(ReservationFailure) {
            let box = MappingBox(try entry.mapper.mapper.map(reservation))
            begin(
                box, [entry.range], entry.direction, entry.need, entry.mapper, [],
                origin: entry.number << 10)
        } catch {
            fail("a granted reservation is not mapped: \(error)")
        }
        do throws(ReservationFailure) {
            let box = MappingBox(try entry.mapper.mapper.map(reservation))
            box.take().end()
            fail("a reservation was mapped twice")
        } catch {
            require(error == .cancelled, "\(error)")
        }
    }
}
