import SharedMemory
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

/// What the holder of a reservation can do with it.
@Suite struct SlotReservationTests {
    let log = OutcomeLog()

    @Test func mappingOfAReservationIsLikeAnyOther() throws {
        let fixture = try PoolFixture(slotCount: 256)
        var generator = SeededGenerator()
        var mapper = try fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: 4095))
        let bytes = generator.bytes(9000)
        fixture.memory.store(bytes.span, at: 777)
        let buffer = fixture.buffer(777, 9000)
        let request = try mapper.request(for: buffer, .bidirectional)
        #expect(request.buffer == buffer && request.direction == .bidirectional)
        try fixture.pool.reserve(request, log.body(1))
        let box = try mapper.mapGranted(1, log)
        #expect(box.buffer == buffer && box.direction == .bidirectional)
        #expect(box.device.address.rawValue & 4095 == 777)
        let offset = fixture.windowOffset(box.device)
        #expect(fixture.window.bytes(at: offset, byteCount: 9000) == bytes)
        fixture.window.fill(at: offset, byteCount: 9000, with: 3)
        mapper.end(box, usedByteCount: 5000)
        #expect(
            fixture.memory.bytes(at: 777, byteCount: 9000)
                == [UInt8](repeating: 3, count: 5000) + bytes[5000...], "seed \(generator.seed)")
        #expect(fixture.pool.statistics.mapCount == 1)
    }

    @Test(arguments: [
        (-1, 1, MapRefusal.outsidePrivateMemory), (0, 0, .empty),
        (0, segmentByteCount + 1, .tooLarge(maximumByteCount: segmentByteCount)),
    ])
    func requestThatNoPoolCanServeIsRefused(offset: Int, byteCount: Int, reason: MapRefusal) throws
    {
        let fixture = try PoolFixture()
        let mapper = try fixture.pool.makeMapper()
        #expect(throws: reason) {
            try mapper.request(for: fixture.buffer(offset, byteCount), .toDevice)
        }
        #expect(fixture.pool.statistics.refusals[reason.reason] == 1)
    }

    @Test func cancelWhileWaitingIsToldOnce() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 128)
        let reservation = try fixture.reserve(1, slots: 1, for: mapper, log)
        #expect(reservation.cancel())
        #expect(!reservation.cancel())
        #expect(log.told == [.failed(1, .cancelled)])
        #expect(fixture.pool.statistics.waiterCount == 0)
        for box in boxes { mapper.end(box) }
        #expect(log.told == [.failed(1, .cancelled)])
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func cancelAfterTheGrantGivesTheSlotsToTheNext() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let first = try fixture.reserve(1, slots: 128, for: mapper, log)
        try fixture.reserve(2, slots: 128, for: mapper, log)
        #expect(log.told == [.granted(1)])
        #expect(!first.cancel())
        #expect(log.told == [.granted(1), .granted(2)])
        // What was given back is not given back again.
        #expect(!first.cancel())
        #expect(fixture.usedSlotCount == 128)
        mapper.end(try mapper.mapGranted(2, log))
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.freeSlots.allSatisfy { $0 })
    }

    @Test func cancelAfterTheMapDoesNothing() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let reservation = try fixture.reserve(1, slots: 128, for: mapper, log)
        let box = try mapper.mapGranted(1, log)
        #expect(!reservation.cancel())
        #expect(fixture.usedSlotCount == 128)
        mapper.end(box)
    }

    @Test func dropAfterTheGrantGivesSlotsAndQuotaBack() throws {
        let fixture = try PoolFixture(slotCount: 128)
        let owner = try fixture.pool.makeOwner(name: "limited", quotaSlotCount: 16)
        var mapper = try fixture.pool.makeMapper(owner: owner)
        try fixture.reserve(1, slots: 16, for: mapper, log)
        try fixture.reserve(2, slots: 16, for: mapper, log)
        #expect(log.told == [.granted(1)])
        _ = log.take(1)
        #expect(log.told == [.granted(1), .granted(2)])
        mapper.end(try mapper.mapGranted(2, log))
        mapper.end(try mapper.box(fixture.slots(16)))
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func reservationThatIsGrantedOutlivesItsPool() throws {
        let reservation = try reservationOfAPoolThatIsGone()
        #expect(!reservation.cancel())
    }

    private func reservationOfAPoolThatIsGone() throws -> SlotReservation {
        let fixture = try PoolFixture(slotCount: 128)
        return try fixture.reserve(1, slots: 1, for: try fixture.pool.makeMapper(), log)
    }

    @Test func reservationThatWaitsIsToldWhenItsPoolGoes() throws {
        try reserveOfAPoolThatGoes()
        #expect(log.told == [.failed(1, .cancelled)])
    }

    private func reserveOfAPoolThatGoes() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let token = mapper.park(try mapper.map(fixture.slots(128), .toDevice))
        #expect(token.slot == 0)
        try fixture.reserve(1, slots: 1, for: mapper, log)
        #expect(log.told == [])
    }

    @Test func reservationOfAnotherOwnerTraps() async {
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            let owner = try fixture.pool.makeOwner(name: "other")
            let log = OutcomeLog()
            let other = try fixture.pool.makeMapper(owner: owner)
            try fixture.reserve(1, slots: 1, for: other, log)
            var mapper = try fixture.pool.makeMapper()
            _ = try mapper.mapGranted(1, log)
        }
    }

    @Test func reservationOfAnotherPoolTraps() async {
        await #expect(processExitsWith: .failure) {
            let (ours, theirs) = (try PoolFixture(), try PoolFixture())
            let log = OutcomeLog()
            let other = try theirs.pool.makeMapper()
            try theirs.reserve(1, slots: 1, for: other, log)
            var mapper = try ours.pool.makeMapper()
            _ = try mapper.mapGranted(1, log)
        }
    }

    @Test func reservationWithoutSlotsIsNotMapped() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let mapped = try fixture.reserve(1, slots: 128, for: mapper, log)
        let box = MappingBox(try mapper.map(mapped))
        let waiting = try fixture.reserve(2, slots: 1, for: mapper, log)
        let third = try fixture.reserve(3, slots: 1, for: mapper, log)
        third.cancel()
        for reservation in [mapped, waiting, third] {
            let failure = mapper.failure(reservation)
            #expect(failure == .cancelled)
        }
        #expect(fixture.usedSlotCount == 128)
        mapper.end(box)
        // Granted, and then cancelled.
        #expect(log.told == [.granted(1), .failed(3, .cancelled), .granted(2)])
        #expect(!waiting.cancel())
        let failure = mapper.failure(waiting)
        #expect(failure == .cancelled)
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func reservationThatIsCancelledBeforeItIsToldIsNotToldAsGranted() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let box = try mapper.box(fixture.slots(128))
        let request = try mapper.request(for: fixture.slots(1), .toDevice)
        let (pool, log) = (fixture.pool, log)
        let others = Mutex<[SlotReservation]>([])
        try pool.reserve(request) { _ in
            // Granted along with this one, and told after it.
            for other in others.withLock({ $0 }) { other.cancel() }
        }
        let second = try pool.reserve(request, log.body(2))
        others.withLock { $0.append(second) }
        mapper.end(box)
        #expect(log.told == [.failed(2, .cancelled)])
        others.withLock { $0 = [] }
        #expect(fixture.usedSlotCount == 0)
    }
}

extension BounceMapper {
    /// Why a reservation was not mapped; one mapped by mistake is unmapped.
    fileprivate mutating func failure(_ reservation: SlotReservation) -> ReservationFailure? {
        do throws(ReservationFailure) {
            end(MappingBox(try map(reservation)))
            return nil
        } catch {
            return error
        }
    }
}
