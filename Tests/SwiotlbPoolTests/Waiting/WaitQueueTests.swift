import SharedMemory
import Testing

@testable import SwiotlbPool

/// Who is served, when and in which order.
@Suite struct WaitQueueTests {
    let log = OutcomeLog()

    @Test func reservationIsGrantedAtOnceWhereSlotsAreFree() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        try fixture.reserve(1, slots: 3, for: mapper, log)
        #expect(log.told == [.granted(1)])
        #expect(fixture.usedSlotCount == 3)
        #expect(fixture.pool.statistics.waiterCount == 0)
        let box = try mapper.mapGranted(1, log)
        #expect(box.slots.count == 3)
        #expect(fixture.usedSlotCount == 3)
        mapper.end(box)
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.freeSlots.allSatisfy { $0 })
    }

    // Runs of 16 slots are cached when they are freed, runs of 128 are not.
    @Test(arguments: [16, 128])
    func slotsAreHandedOverInTheOrderOfTheQueue(count: Int) throws {
        let fixture = try PoolFixture(slotCount: 512)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: count)
        let numbers = Array(boxes.indices)
        for number in numbers { try fixture.reserve(number, slots: count, for: mapper, log) }
        #expect(log.told == [])
        #expect(fixture.pool.statistics.waiterCount == boxes.count)
        for (number, box) in boxes.enumerated() {
            mapper.end(box)
            #expect(log.told == numbers[...number].map { .granted($0) })
        }
        #expect(fixture.usedSlotCount == 512)
        for number in numbers { mapper.end(try mapper.mapGranted(number, log)) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func smallRequestWaitsBehindALargeOneAndSoDoNewcomers() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        var newcomer = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 32)
        try fixture.reserve(1, slots: 64, for: mapper, log)
        try fixture.reserve(2, slots: 1, for: mapper, log)
        mapper.end(boxes[0])
        // 32 slots are free, and kept for the one who waits for 64.
        let refusals = [newcomer.refusal(fixture.slots(1)), mapper.refusal(fixture.slots(1))]
        #expect(refusals == [.othersWait, .othersWait])
        #expect(log.told == [])
        mapper.end(boxes[1])
        #expect(log.told == [.granted(1)])
        mapper.end(boxes[2])
        #expect(log.told == [.granted(1), .granted(2)])
        // Nobody waits any more.
        newcomer.end(try newcomer.box(fixture.slots(1)))
        #expect(fixture.pool.statistics.refusals[.othersWait] == 2)
        mapper.end(boxes[3])
        for number in [1, 2] { mapper.end(try mapper.mapGranted(number, log)) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func listIsRefusedWhileOthersWait() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 64)
        try fixture.reserve(1, slots: 128, for: mapper, log)
        mapper.end(boxes[0])
        let refusal = mapper.listRefusal([fixture.buffer(0, 5), fixture.buffer(9, 5)])
        #expect(refusal == .othersWait)
        mapper.end(boxes[1])
        #expect(log.told == [.granted(1)])
        mapper.end(try mapper.mapGranted(1, log))
    }

    @Test func quotaHeldReservationIsPassedOverAndKeepsItsPlace() throws {
        let fixture = try PoolFixture(slotCount: 128)
        let owner = try fixture.pool.makeOwner(name: "limited", quotaSlotCount: 16)
        var limited = try fixture.pool.makeMapper(owner: owner)
        var other = try fixture.pool.makeMapper()
        let held = try limited.box(fixture.slots(16))
        try fixture.reserve(1, slots: 8, for: limited, log)
        try fixture.reserve(2, slots: 8, for: other, log)
        #expect(log.told == [.granted(2)])
        // Nobody lacks slots, so nobody has to stand back.
        let boxes = fixture.fill(&other, runsOf: 8)
        #expect(boxes.count == 13)
        try fixture.reserve(3, slots: 8, for: other, log)
        #expect(fixture.pool.statistics.waiterCount == 2)
        // Slots and quota come at once, and the first in the queue has them.
        limited.end(held)
        #expect(log.told == [.granted(2), .granted(1), .granted(3)])
        for box in boxes { other.end(box) }
        other.end(try other.mapGranted(2, log))
        other.end(try other.mapGranted(3, log))
        limited.end(try limited.mapGranted(1, log))
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.pool.statistics(of: owner).usedSlotCount == 0)
    }

    @Test func ownersReservationsDoNotOvertakeEachOtherAtItsQuota() throws {
        let fixture = try PoolFixture(slotCount: 128)
        let owner = try fixture.pool.makeOwner(name: "limited", quotaSlotCount: 16)
        var mapper = try fixture.pool.makeMapper(owner: owner)
        let boxes = [try mapper.box(fixture.slots(8)), try mapper.box(fixture.slots(8))]
        try fixture.reserve(1, slots: 16, for: mapper, log)
        try fixture.reserve(2, slots: 8, for: mapper, log)
        mapper.end(boxes[0])
        // Else small reservations, one after the other, would keep the large one waiting for ever.
        #expect(log.told == [])
        // And so would the owner's newcomers.
        let refusal = mapper.refusal(fixture.slots(1))
        #expect(refusal == .othersWait)
        mapper.end(boxes[1])
        #expect(log.told == [.granted(1)])
        mapper.end(try mapper.mapGranted(1, log))
        #expect(log.told == [.granted(1), .granted(2)])
        mapper.end(try mapper.mapGranted(2, log))
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func requestBeyondTheQuotaIsRefusedForGood() throws {
        let fixture = try PoolFixture(slotCount: 128)
        let owner = try fixture.pool.makeOwner(name: "limited", quotaSlotCount: 16)
        let mapper = try fixture.pool.makeMapper(owner: owner)
        #expect(throws: MapRefusal.tooLarge(maximumByteCount: 16 * slotByteCount)) {
            try mapper.request(for: fixture.slots(17), .toDevice)
        }
    }

    @Test func queueTakesNoMoreThanItsLimit() throws {
        let fixture = try PoolFixture(slotCount: 128) { $0.waiterCountMax = 2 }
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 128)
        try fixture.reserve(1, slots: 1, for: mapper, log)
        let second = try fixture.reserve(2, slots: 1, for: mapper, log)
        #expect(throws: ReservationFailure.queueFull) {
            try fixture.reserve(3, slots: 1, for: mapper, log)
        }
        second.cancel()
        try fixture.reserve(4, slots: 1, for: mapper, log)
        for box in boxes { mapper.end(box) }
        #expect(log.told == [.failed(2, .cancelled), .granted(1), .granted(4)])
        for number in [1, 4] { mapper.end(try mapper.mapGranted(number, log)) }
    }

    @Test func deadlinesEndReservationsInOrderAndTellTheNextOne() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 128)
        let start = ContinuousClock.now + .seconds(1000)
        for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            try fixture.reserve(
                number, slots: 1, for: mapper, log, deadline: start + .seconds(seconds))
        }
        try fixture.reserve(5, slots: 1, for: mapper, log)
        #expect(fixture.pool.expireReservations() == start + .seconds(10))
        #expect(fixture.pool.expireReservations(now: start) == start + .seconds(10))
        #expect(log.told == [])
        // At the deadline itself it is over.
        let next = fixture.pool.expireReservations(now: start + .seconds(10))
        #expect(next == start + .seconds(20))
        #expect(log.told == [.failed(2, .deadlinePassed), .failed(4, .deadlinePassed)])
        #expect(fixture.pool.expireReservations(now: start + .seconds(99)) == nil)
        #expect(log.told.suffix(2) == [.failed(1, .deadlinePassed), .failed(3, .deadlinePassed)])
        #expect(fixture.pool.statistics.waiterCount == 1)
        for box in boxes { mapper.end(box) }
        #expect(log.told.last == .granted(5))
        mapper.end(try mapper.mapGranted(5, log))
        // A deadline ends waiting, not a reservation that was granted.
        try fixture.reserve(6, slots: 1, for: mapper, log, deadline: start)
        #expect(fixture.pool.expireReservations(now: start + .seconds(1)) == nil)
        mapper.end(try mapper.mapGranted(6, log))
    }

    @Test(arguments: [false, true])
    func whenTheHeadLeavesTheNextIsServed(byDeadline: Bool) throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 64)
        let deadline = ContinuousClock.now + .seconds(1000)
        let head = try fixture.reserve(1, slots: 128, for: mapper, log, deadline: deadline)
        try fixture.reserve(2, slots: 64, for: mapper, log)
        mapper.end(boxes[0])
        #expect(log.told == [])
        if byDeadline {
            fixture.pool.expireReservations(now: deadline)
        } else {
            #expect(head.cancel())
        }
        let failure = byDeadline ? ReservationFailure.deadlinePassed : .cancelled
        #expect(log.told == [.failed(1, failure), .granted(2)])
        mapper.end(try mapper.mapGranted(2, log))
        mapper.end(boxes[1])
        #expect(fixture.usedSlotCount == 0)
    }

    @Test(arguments: [false, true])
    func nobodyStandsBackOnceTheLastHasLeft(byDeadline: Bool) throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 64)
        let deadline = ContinuousClock.now + .seconds(1000)
        let only = try fixture.reserve(1, slots: 128, for: mapper, log, deadline: deadline)
        mapper.end(boxes[0])
        if byDeadline {
            #expect(fixture.pool.expireReservations(now: deadline) == nil)
        } else {
            #expect(only.cancel())
        }
        mapper.end(try mapper.box(fixture.slots(64)))
        mapper.end(boxes[1])
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func statisticsTellWhoWaitsAndHowLongTheyHave() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 64)
        let begin = ContinuousClock.now
        try fixture.reserve(1, slots: 64, for: mapper, log)
        try fixture.reserve(2, slots: 64, for: mapper, log)
        #expect(fixture.pool.statistics.waiterCount == 2)
        #expect(fixture.pool.statistics.grantedCount == 0)
        #expect(fixture.pool.statistics.longestWait == .zero)
        while ContinuousClock.now - begin < .milliseconds(2) {}
        for box in boxes { mapper.end(box) }
        let waited = ContinuousClock.now - begin
        let statistics = fixture.pool.statistics
        #expect(statistics.waiterCount == 0)
        #expect(statistics.grantedCount == 2)
        #expect(statistics.longestWait > .milliseconds(1) && statistics.longestWait <= waited)
        #expect(statistics.usedSlotCount == 128)
        for number in [1, 2] { mapper.end(try mapper.mapGranted(number, log)) }
        #expect(fixture.pool.statistics.usedSlotCount == 0)
    }
}
