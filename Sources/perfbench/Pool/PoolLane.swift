import CommandSupport
import Histogram
import SharedMemory

/// What one measuring thread owns: its way into the pool, and its mappings.
///
/// `@unchecked Sendable`: a lane is used by one thread at a time. The thread that makes the lanes
/// fills them; measuring threads have one each, from their start to their end.
final class PoolLane<Pool: PoolUnderTest & ~Copyable>: @unchecked Sendable {
    private var pool: Pool
    private var steady: SteadyLoop
    private var churn: Churn
    /// Mappings that stay in place, so that the pool is as full as the case says.
    private var filling: [(cell: Int, slotCount: Int)] = []
    private let fillingCells: Range<Int>

    /// What the measuring thread found out last.
    private(set) var sample = PoolSample()
    private(set) var tally = ChurnTally()
    private(set) var latencies = LatencyHistogram.forCompletions()

    /// - Parameter makePool: is told how many cells the lane needs.
    init(
        _ shares: PoolShares, buffers: GuestBuffers, seed: UInt64,
        makePool: (_ cellCount: Int) throws(CommandFailure) -> Pool
    ) throws(CommandFailure) {
        pool = try makePool(shares.cellCount)
        steady = SteadyLoop(cells: shares.steadyCells, buffers: buffers)
        churn = Churn(
            cells: shares.churnCells, slotCountTarget: shares.churnSlotCount,
            address: buffers.first.address, seed: seed)
        fillingCells = shares.fillingCells
    }

    /// Operations between two looks at the clock: some microseconds' worth, so that the look weighs
    /// nothing.
    private static func batchCount(_ operation: PoolOperation, byteCount: Int) -> Int {
        operation.copies ? min(max((1 << 20) / byteCount, 1), 256) : 256
    }

    /// Makes one of the mappings that are live at a time, to see whether there is room.
    func fillSteady(_ index: Int) -> Bool { steady.fill(index, on: &pool) }

    func drainSteady() { steady.drain(from: &pool) }

    /// Keeps so many mappings live from now on, at most as many as at first.
    func use(liveCount: Int) { steady.use(liveCount: liveCount) }

    /// Measures mappings of one size for a time; the first ones are made before it begins.
    func measureSteady(
        _ operation: PoolOperation, byteCount: Int, seconds: Double, line: StartLine
    ) {
        pool.prepare(for: operation, liveCount: steady.cells.count)
        _ = pool.run(&steady, count: steady.cells.count)
        measure(
            seconds: seconds, batchCount: Self.batchCount(operation, byteCount: byteCount),
            line: line
        ) { count in
            ChurnTally(mapCount: count, refusalCount: pool.run(&steady, count: count))
        }
        steady.drain(from: &pool)
    }

    /// Measures a churn for a time, then the latencies of its maps for as long.
    func measureChurn(seconds: Double, clockNanoseconds: UInt64, line: StartLine) {
        measure(seconds: seconds, batchCount: 256, line: line) { pool.run(&churn, count: $0) }
        let throughput = sample
        measure(seconds: seconds, batchCount: 256, line: line) { count in
            pool.runTimed(
                &churn, count: count, latencies: &latencies, clockNanoseconds: clockNanoseconds)
        }
        sample = throughput
    }

    /// Churns so many steps, to wear the pool down.
    func wear(_ stepCount: Int) {
        pool.prepare(for: .churn, liveCount: 0)
        tally = ChurnTally()
        var left = stepCount
        while left > 0, !Interruption.isRequested {
            let count = min(left, 4096)
            tally += pool.run(&churn, count: count)
            left -= count
        }
    }

    func resetLatencies() {
        latencies.reset()
    }

    private func measure(
        seconds: Double, batchCount: Int, line: StartLine, _ body: (Int) -> ChurnTally
    ) {
        var sample = PoolSample()
        line.wait()
        let cpuBegin = threadCPUNanoseconds()
        let begin = monotonicNanoseconds()
        let deadline = begin + UInt64(seconds * 1e9)
        var now = begin
        repeat {
            let tally = body(batchCount)
            sample.operationCount += batchCount
            sample.mapCount += tally.mapCount
            sample.refusalCount += tally.refusalCount
            now = monotonicNanoseconds()
        } while now < deadline && !Interruption.isRequested
        sample.cpuNanoseconds = Double(threadCPUNanoseconds() - cpuBegin)
        sample.operationsPerSecond =
            Double(sample.operationCount) * 1e9 / Double(max(now - begin, 1))
        self.sample = sample
        // Nobody winds down while another one measures.
        line.wait()
    }
}

extension PoolLane where Pool: ~Copyable {
    /// Makes a mapping that stays in place. Not after ``unfill(_:)``, which leaves cells in disorder.
    ///
    /// - Returns: its slots, or `nil` where the pool refuses.
    func fill(byteCount: Int, address: GuestAddress) -> Int? {
        guard filling.count < fillingCells.count else { return nil }
        let cell = fillingCells.lowerBound + filling.count
        let buffer = GuestRange(address: address, byteCount: byteCount)
        guard pool.map(buffer, into: cell) else { return nil }
        let slotCount = PoolSizes.slotCount(of: byteCount)
        filling.append((cell, slotCount))
        return slotCount
    }

    /// Mappings that stay in place now.
    var fillingCount: Int { filling.count }

    /// Ends one of them.
    ///
    /// - Returns: the slots it had.
    func unfill(_ index: Int) -> Int {
        filling.swapAt(index, filling.count - 1)
        let (cell, slotCount) = filling.removeLast()
        pool.unmap(cell)
        return slotCount
    }

    /// Ends every mapping there is.
    func drain() {
        // Without copies.
        pool.prepare(for: .churn, liveCount: 0)
        while filling.count > 0 { _ = unfill(filling.count - 1) }
        churn.drain(from: &pool)
        steady.drain(from: &pool)
    }
}
