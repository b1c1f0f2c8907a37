import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// The async form. The callback form, which it is made of, is in `WaitQueueTests`.
@Suite struct BouncePoolReserveTests {
    private let fixture: PoolFixture

    init() throws {
        fixture = try PoolFixture(slotCount: 128)
    }

    /// A request for all of the pool.
    private func request() throws -> MapRequest {
        try fixture.pool.makeMapper().request(for: fixture.slots(128), .toDevice)
    }

    /// Waits until so many reservations wait.
    private func waiters(_ count: Int) async {
        while fixture.pool.statistics.waiterCount != count { await Task.yield() }
    }

    @Test func grantedAtOnceWhereSlotsAreFree() async throws {
        let reservation = try await fixture.pool.reserve(request())
        #expect(fixture.usedSlotCount == 128)
        #expect(!reservation.cancel())
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func grantedWhenSlotsAreFreed() async throws {
        let held = try await fixture.pool.reserve(request())
        let (pool, request) = (fixture.pool, try request())
        let task = Task { try await pool.reserve(request) }
        await waiters(1)
        held.cancel()
        let reservation = try await task.value
        #expect(fixture.usedSlotCount == 128)
        // What is granted is mapped by any mapper of the owner.
        try mapAndEnd(reservation)
        #expect(fixture.usedSlotCount == 0)
    }

    private func mapAndEnd(_ reservation: SlotReservation) throws {
        var mapper = try fixture.pool.makeMapper()
        mapper.end(MappingBox(try mapper.map(reservation)))
    }

    @Test func deadlineEndsTheWait() async throws {
        let held = try await fixture.pool.reserve(request())
        let deadline = ContinuousClock.now + .milliseconds(20)
        await #expect(throws: ReservationFailure.deadlinePassed) {
            try await fixture.pool.reserve(try request(), deadline: deadline)
        }
        #expect(ContinuousClock.now >= deadline)
        #expect(fixture.pool.statistics.waiterCount == 0)
        held.cancel()
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func deadlineThatHasPassedEndsTheWaitAtOnce() async throws {
        let held = try await fixture.pool.reserve(request())
        // Often, because the timer runs at once and must not run before there is a reservation.
        for _ in 0..<500 {
            await #expect(throws: ReservationFailure.deadlinePassed) {
                try await fixture.pool.reserve(try request(), deadline: .now)
            }
        }
        held.cancel()
        // Where nobody has to wait, the deadline says nothing.
        try await fixture.pool.reserve(request(), deadline: .now).cancel()
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func taskThatWasCancelledBeforeDoesNotWait() async throws {
        let held = try await fixture.pool.reserve(request())
        let (pool, request) = (fixture.pool, try request())
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await pool.reserve(request)
        }
        task.cancel()
        await #expect(throws: ReservationFailure.cancelled) { try await task.value }
        held.cancel()
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func cancellationEndsTheWaitAndServesTheNext() async throws {
        let mapper = try fixture.pool.makeMapper()
        let held = try await fixture.pool.reserve(
            mapper.request(for: fixture.slots(64), .toDevice))
        let (pool, request) = (fixture.pool, try request())
        let task = Task { try await pool.reserve(request) }
        await waiters(1)
        // Waits behind the first, though there is room for it.
        let small = try mapper.request(for: fixture.slots(64), .toDevice)
        let other = Task { try await pool.reserve(small) }
        await waiters(2)
        task.cancel()
        await #expect(throws: ReservationFailure.cancelled) { try await task.value }
        try await other.value.cancel()
        held.cancel()
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func cancellationAfterTheGrantLeavesTheReservationToTheTask() async throws {
        let (pool, request) = (fixture.pool, try request())
        let task = Task {
            let reservation = try await pool.reserve(request)
            while !Task.isCancelled { await Task.yield() }
            return reservation
        }
        while fixture.usedSlotCount == 0 { await Task.yield() }
        task.cancel()
        let reservation = try await task.value
        #expect(fixture.usedSlotCount == 128)
        #expect(!reservation.cancel())
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func queueThatIsFullIsSaid() async throws {
        let fixture = try PoolFixture(slotCount: 128) { $0.waiterCountMax = 1 }
        let held = try await fixture.pool.reserve(
            fixture.pool.makeMapper().request(for: fixture.slots(128), .toDevice))
        let log = OutcomeLog()
        let waiting = try fixture.reserve(1, slots: 1, for: fixture.pool.makeMapper(), log)
        let request = try fixture.pool.makeMapper().request(for: fixture.slots(1), .toDevice)
        await #expect(throws: ReservationFailure.queueFull) {
            try await fixture.pool.reserve(request)
        }
        waiting.cancel()
        held.cancel()
    }

    @Test func manyTasksHaveTheirTurns() async throws {
        let pool = fixture.pool
        let requests = try (0..<200).map { number in
            try fixture.pool.makeMapper().request(for: fixture.slots(1 + number % 128), .toDevice)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for request in requests {
                group.addTask {
                    for _ in 0..<5 {
                        let reservation = try await pool.reserve(request)
                        await Task.yield()
                        reservation.cancel()
                    }
                }
            }
            try await group.waitForAll()
        }
        let statistics = pool.statistics
        #expect(statistics.grantedCount == 1000)
        #expect(statistics.waiterCount == 0)
        #expect(statistics.usedSlotCount == 0)
        #expect(fixture.freeSlots.allSatisfy { $0 })
    }
}
