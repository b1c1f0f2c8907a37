import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// Runs of slots pass from thread to thread by the pool's own orderings and nothing else: no lock,
/// no mailbox, no report in between, any of which would order the threads as well. (A refusal is an
/// exception: Swift Testing's hook takes a lock for each error thrown.)
///
/// What ThreadSanitizer can see of it is a plain word a slot, which the holder of the slot writes:
/// of Swift 6.3.1's, races of `memcpy` and `memset` are not reported. A write after the unmap is;
/// an ordering that is too weak was not, when this was tried. The orderings are what the models
/// check.
@Suite struct OrderingStressTests {
    /// Runs that are cached when they are freed, and collected by whoever finds none; runs that are
    /// too long for a cache and go through the bitmap; both.
    ///
    /// So few slots that every search ends in the caches of others.
    @Test(arguments: [(1...33, 80), (34...64, 0), (1...64, 40)])
    func runsPassFromThreadToThread(slotCounts: ClosedRange<Int>, taken: Int) throws {
        let fixture = try PoolFixture(slotCount: 128)
        let rest =
            taken == 0
            ? nil : try fixture.pool.allocateCoherent(byteCount: taken * slotByteCount)
        let words = PlainWords(count: 128)
        let seed = SeededGenerator().seed
        onThreads(4) { thread in
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            guard var mapper = try? fixture.pool.makeMapper() else { return }
            for round in 0..<scaled(1500) {
                let count = slotCounts.lowerBound + generator.below(slotCounts.count)
                // A part of private memory that is this thread's.
                let buffer = fixture.buffer(thread << 18, count * slotByteCount)
                let value = UInt8(truncatingIfNeeded: round &* 4 &+ thread)
                fixture.memory.fill(at: thread << 18, byteCount: 64, with: value)
                guard case .success(let box) = mapper.attempt(buffer, .bidirectional) else {
                    continue
                }
                let offset = fixture.windowOffset(box.device)
                if !fixture.window.bytes(at: offset, byteCount: 64).isUniform(value) {
                    Issue.record("the payload is another's, seed \(seed)")
                }
                fixture.window.fill(at: offset, byteCount: 64, with: value ^ 1)
                words.take(box.slots, by: thread + 1)
                if !words.give(box.slots, by: thread + 1) {
                    Issue.record("two threads have a slot, seed \(seed)")
                }
                mapper.end(box)
                if !fixture.memory.bytes(at: thread << 18, byteCount: 64).isUniform(value ^ 1) {
                    Issue.record("the device's answer is another's, seed \(seed)")
                }
            }
        }
        let statistics = fixture.pool.statistics
        print(
            "\(slotCounts) slots: mapped \(statistics.mapCount), refused \(statistics.refusalCount)"
        )
        #expect(fixture.usedSlotCount == taken)
        #expect(fixture.freeSlots.count { $0 } == 128 - taken)
        #expect(statistics.mapCount > 1000, "seed \(seed)")
        _ = consume rest
    }
}

/// A word a slot, written without any ordering by whoever has the slot: the pool orders that.
@safe private final class PlainWords: @unchecked Sendable {
    // SAFETY: allocated in init and freed in deinit, with a word for each slot of the pool.
    private let words: UnsafeMutablePointer<Int>

    init(count: Int) {
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    deinit {
        unsafe words.deallocate()
    }

    func take(_ run: SlotRun, by thread: Int) {
        for slot in run.first..<run.end { unsafe words[slot] = thread }
    }

    /// - Returns: whether nobody else has taken a slot meanwhile.
    func give(_ run: SlotRun, by thread: Int) -> Bool {
        for slot in run.first..<run.end where unsafe words[slot] != thread { return false }
        return true
    }
}
