import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// More threads than cores do everything at once that a pool can do (invariants 1, 2, 7, 9 and 20
/// of swiotlb.md): what `StressWorker` does, while one thread adds and drains extents, and one
/// watches the clock and reads reports.
@Suite struct BounceMapperStressTests {
    @Test(arguments: [CopyBackPolicy.clamped, .prefill], [ScrubPolicy.never, .onOwnerChange])
    func everythingAtOnceLosesNothing(copyBack: CopyBackPolicy, scrub: ScrubPolicy) throws {
        let fixture = try PoolFixture(
            slotCount: 256, areaCount: 2, memoryByteCount: StressBoard.memoryByteCount
        ) {
            $0.extentCountMax = 3
            $0.waiterCountMax = 40
            $0.copyBack = copyBack
            $0.scrub = scrub
        }
        let limited = try fixture.pool.makeOwner(name: "limited", quotaSlotCount: 96)
        let owners = [
            fixture.pool.defaultOwner, limited, try fixture.pool.makeOwner(name: "other"),
        ]
        let board = StressBoard(fixture, seed: SeededGenerator().seed)
        let watch = Stopwatch()
        // Made now: afterwards, mappings that live on may keep all places.
        var last = try fixture.pool.makeMapper()
        onThreads(8) { thread in
            switch thread {
            case 0: board.changeExtents(until: watch)
            case 1: board.watchTheClock(until: watch)
            default:
                do {
                    var worker = try StressWorker(board, thread, owners[thread % owners.count])
                    try worker.run(until: watch)
                } catch {
                    watch.stop()
                    Issue.record("thread \(thread): \(error), seed \(board.seed)")
                }
            }
        }
        board.clearUp(&last)
        try board.check(owners)
    }
}
