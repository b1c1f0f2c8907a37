import Dispatch
import Glibc
import SharedMemory
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

/// Many threads that wait for few slots: no wake-up is lost, and nobody starves.
@Suite struct WaitingStressTests {
    /// Fewer runs than threads, so that each lost wake-up leaves threads waiting with nobody left
    /// to free anything; runs that are cached when they are freed, that are not, and a quota.
    @Test(arguments: [(1, 2, false), (2, 2, false), (1, 40, false), (1, 128, false), (1, 2, true)])
    func wakeUpsAreNotLost(runCount: Int, slotCount: Int, byQuota: Bool) throws {
        let fixture = try PoolFixture(slotCount: 128)
        let taken = byQuota ? 0 : 128 - runCount * slotCount
        let rest =
            taken == 0
            ? nil : try fixture.pool.allocateCoherent(byteCount: taken * slotByteCount)
        let owner =
            byQuota
            ? try fixture.pool.makeOwner(name: "limited", quotaSlotCount: runCount * slotCount)
            : fixture.pool.defaultOwner
        let watch = Stopwatch(.milliseconds(600))
        let rounds = Mutex([Int](repeating: 0, count: 5))
        let buffer = fixture.buffer(0, slotCount * slotByteCount)
        onThreads(5) { thread in
            var count = 0
            do {
                var mapper = try fixture.pool.makeMapper(owner: owner)
                while !watch.isOver {
                    try mapper.roundTrip(buffer)
                    count += 1
                }
            } catch {
                watch.stop()
                Issue.record("\(error)")
            }
            rounds.withLock { $0[thread] = count }
        }
        let counts = rounds.withLock { $0 }
        let statistics = fixture.pool.statistics
        print(
            "\(runCount) runs of \(slotCount) slots\(byQuota ? " by quota" : ""), rounds:", counts,
            "waited:", statistics.grantedCount, "longest:", statistics.longestWait)
        #expect(counts.allSatisfy { $0 > 0 })
        #expect(statistics.waiterCount == 0)
        #expect(statistics.mapCount == statistics.unmapCount)
        #expect(statistics.usedSlotCount == taken)
        _ = consume rest
    }

    @Test func largeRequestsDoNotStarveBehindSmallOnes() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        let watch = Stopwatch()
        let large = Atomic(0)
        let small = Atomic(0)
        onThreads(6) { thread in
            do {
                var mapper = try fixture.pool.makeMapper()
                while !watch.isOver {
                    if thread == 0 {
                        try mapper.roundTrip(fixture.buffer(0, segmentByteCount))
                        large.wrappingAdd(1, ordering: .relaxed)
                    } else if mapper.tryRoundTrip(fixture.buffer(0, thread * 3000)) {
                        small.wrappingAdd(1, ordering: .relaxed)
                    } else {
                        sched_yield()
                    }
                }
            } catch {
                watch.stop()
                Issue.record("\(error)")
            }
        }
        let statistics = fixture.pool.statistics
        print(
            "large:", large.load(ordering: .relaxed), "small:", small.load(ordering: .relaxed),
            "waited:", statistics.grantedCount, "longest:", statistics.longestWait)
        #expect(large.load(ordering: .relaxed) > 10)
        #expect(small.load(ordering: .relaxed) > 10)
        #expect(statistics.longestWait < .seconds(1) * max(stressScale, 1))
        #expect(statistics.usedSlotCount == 0 && statistics.waiterCount == 0)
    }

    /// Tasks that wait, give up and are cancelled, while threads map and unmap.
    @Test func tasksWaitWithDeadlinesAndCancellationWhileThreadsMap() async throws {
        let fixture = try PoolFixture(slotCount: 128)
        let watch = Stopwatch(.seconds(600))
        async let threads: Void = withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                fixture.churn(threadCount: 3, until: watch)
                continuation.resume()
            }
        }
        let seed = SeededGenerator().seed
        var ends = [0, 0, 0]
        await withTaskGroup(of: [Int].self) { group in
            for number in 0..<8 {
                group.addTask { await fixture.wait(seed &+ UInt64(number)) }
            }
            for await counts in group { for end in 0..<3 { ends[end] += counts[end] } }
        }
        watch.stop()
        await threads
        let statistics = fixture.pool.statistics
        print(
            "granted, deadline passed, cancelled:", ends, "longest:", statistics.longestWait,
            "seed:", seed)
        #expect(ends[0] > 0 && ends[1] + ends[2] > 0, "seed \(seed)")
        #expect(statistics.waiterCount == 0)
        #expect(statistics.usedSlotCount == 0)
        #expect(fixture.freeSlots.allSatisfy { $0 })
    }
}

extension PoolFixture {
    /// Maps and unmaps on threads, without waiting.
    fileprivate func churn(threadCount: Int, until watch: Stopwatch) {
        onThreads(threadCount) { thread in
            guard var mapper = try? pool.makeMapper() else { return watch.stop() }
            while !watch.isOver {
                if !mapper.tryRoundTrip(buffer(0, (1 + thread) * 20_000)) { sched_yield() }
            }
        }
    }

    /// Waits over and over for slots as a task.
    ///
    /// - Returns: how often they were granted, the deadline passed, and it was cancelled.
    fileprivate func wait(_ seed: UInt64) async -> [Int] {
        var generator = SeededGenerator(seed: seed)
        var ends = [0, 0, 0]
        for _ in 0..<scaled(100) {
            let byteCount = (1 + generator.below(128)) * slotByteCount
            guard let request = try? pool.makeMapper().request(for: buffer(0, byteCount), .toDevice)
            else { return [0, 0, 0] }
            let microseconds = generator.below(2000)
            let deadline: ContinuousClock.Instant? =
                generator.below(2) == 0 ? nil : .now + .microseconds(microseconds)
            let pool = pool
            let cancels = generator.below(2) == 0
            let task = Task { () -> Int in
                do throws(ReservationFailure) {
                    let reservation = try await pool.reserve(request, deadline: deadline)
                    await Task.yield()
                    if cancels { reservation.cancel() }
                    return 0
                } catch {
                    return error == .deadlinePassed ? 1 : 2
                }
            }
            if generator.below(3) == 0 {
                for _ in 0..<generator.below(20) { await Task.yield() }
                task.cancel()
            }
            ends[await task.value] += 1
        }
        return ends
    }
}

struct LostWakeUp: Error {}

extension BounceMapper {
    /// Maps, waiting where it must, and unmaps.
    fileprivate mutating func roundTrip(_ buffer: GuestRange) throws {
        switch attempt(buffer) {
        case .success(let box): end(box)
        case .failure:
            let outcome = OutcomeBox()
            try pool.reserve(request(for: buffer, .toDevice), outcome.body)
            guard case .granted(let reservation) = outcome.wait() else { throw LostWakeUp() }
            end(MappingBox(try map(reservation)))
        }
    }

    /// Maps and unmaps, or gives up at once.
    fileprivate mutating func tryRoundTrip(_ buffer: GuestRange) -> Bool {
        guard case .success(let box) = attempt(buffer) else { return false }
        end(box)
        return true
    }
}
