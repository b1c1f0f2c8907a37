import Histogram
import SharedMemory
import Testing

@testable import perfbench

@Suite struct ChurnTests {
    /// A pool that remembers what it was asked for, and refuses every so many.
    private struct Recorder: ~Copyable, PoolUnderTest {
        var mapped: [Int: Int] = [:]
        var events: [String] = []
        var sizes: [Int] = []
        let refusesEach: Int
        private var mapCount = 0

        init(refusesEach: Int = .max) { self.refusesEach = refusesEach }

        mutating func prepare(for operation: PoolOperation, liveCount: Int) {}

        mutating func map(_ buffer: GuestRange, into cell: Int) -> Bool {
            sizes.append(buffer.byteCount)
            events.append("map \(buffer.byteCount) \(cell)")
            mapCount += 1
            if mapCount % refusesEach == 0 { return false }
            let former = mapped[cell]
            #expect(former == nil)
            mapped[cell] = buffer.byteCount
            return true
        }

        mutating func unmap(_ cell: Int) {
            events.append("unmap \(cell)")
            mapped[cell] = nil
        }

        var usedSlotCount: Int { mapped.values.reduce(0) { $0 + PoolSizes.slotCount(of: $1) } }
    }

    private func churn(slotCount: Int, firstCell: Int = 0, seed: UInt64 = 1) -> Churn {
        let count = Churn.cellCount(slotCountTarget: slotCount)
        return Churn(
            cells: firstCell..<firstCell + count, slotCountTarget: slotCount,
            address: GuestAddress(0), seed: seed)
    }

    @Test func `occupancy rises to the target and stays there`() {
        var churn = churn(slotCount: 4096)
        var pool = Recorder()
        _ = churn.run(4000, on: &pool)
        for _ in 0..<200 {
            _ = churn.run(10, on: &pool)
            // Never above, and below by little more than the next mapping is long.
            let used = pool.usedSlotCount
            #expect(used <= 4096)
            #expect(used > 4096 * 8 / 10)
        }
        churn.drain(from: &pool)
        let left = pool.mapped
        #expect(left.isEmpty)
    }

    @Test func `every pool is asked for the same sizes in turn, whatever it refuses`() {
        var first = churn(slotCount: 2048)
        var second = churn(slotCount: 2048)
        var generous = Recorder()
        var mean = Recorder(refusesEach: 3)
        let granted = first.run(5000, on: &generous)
        let refused = second.run(5000, on: &mean)
        let count = min(generous.sizes.count, mean.sizes.count)
        #expect(count > 2000)
        let sizes = generous.sizes.prefix(count)
        #expect(mean.sizes.prefix(count) == sizes)
        #expect(granted.refusalCount == 0)
        #expect(refused.refusalCount == refused.mapCount / 3)
        // The one that refuses is as full.
        let used = mean.usedSlotCount
        #expect(used > 2048 * 8 / 10)
    }

    @Test func `mappings of all sizes are made as often as the mix says`() {
        var churn = churn(slotCount: 16384)
        var pool = Recorder()
        let tally = churn.run(40_000, on: &pool)
        for (byteCount, weight) in SizeMix.weights {
            let share = Double(pool.sizes.count { $0 == byteCount }) / Double(tally.mapCount)
            #expect(abs(share * 16 - Double(weight)) < 0.5, "of \(byteCount)")
        }
    }

    @Test func `a timed pass asks for the same as one that is not`() {
        var first = churn(slotCount: 2048)
        var second = churn(slotCount: 2048)
        var plain = Recorder()
        var timed = Recorder()
        _ = first.run(2000, on: &plain)
        var latencies = LatencyHistogram.forCompletions()
        let tally = second.runTimed(2000, on: &timed, into: &latencies, clockNanoseconds: 0)
        let events = plain.events
        #expect(timed.events == events)
        #expect(latencies.totalCount == UInt64(tally.mapCount))
    }

    @Test func `it keeps to its cells`() {
        var churn = churn(slotCount: 512, firstCell: 100)
        var pool = Recorder()
        _ = churn.run(3000, on: &pool)
        let cells = pool.mapped.keys
        #expect(cells.allSatisfy { (100..<100 + 256).contains($0) })
    }

    @Test func `the mix has the sizes it says, weighted towards small ones`() {
        #expect(SizeMix.table.count == 16)
        #expect(SizeMix.meanByteCount == 38912)
        #expect(SizeMix.description.hasPrefix("8/16 4k, 4/16 16k"))
    }
}
