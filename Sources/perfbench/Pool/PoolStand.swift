import CommandSupport
import Histogram
import SharedMemory

/// A pool to measure, whatever the path, with a lane for each of its threads.
protocol PoolStand: AnyObject {
    /// Fills the pool with mappings of mixed sizes, then ends random ones until so many slots are in
    /// use.
    func fill(slotCount: Int, seed: UInt64)
    /// How many mappings of one size there is room for on each thread, besides those that stay in
    /// place; at most as many as the lanes were made for.
    func room(liveCountMax: Int) -> Int
    /// Keeps so many mappings live on each thread from now on.
    func use(liveCount: Int)
    /// Measures mappings of one size, on all threads at once.
    func measureSteady(
        _ operation: PoolOperation, byteCount: Int, seconds: Double
    ) throws(CommandFailure) -> PoolSample
    /// Churns so many steps on all threads together, untimed.
    func wear(_ stepCount: Int) throws(CommandFailure) -> ChurnTally
    /// Measures a churn, on all threads at once.
    func measureChurn(
        seconds: Double, clockNanoseconds: UInt64
    ) throws(CommandFailure) -> PoolSample
    /// Latencies of a churn's maps since the last reset.
    var latencies: LatencyHistogram { get }
    func resetLatencies()
    /// Ends every mapping there is.
    func drain()
}

/// The stand of one path. Its calls are made a few times a round; the loops behind them are
/// specialised for the path.
final class LaneStand<Pool: PoolUnderTest & ~Copyable>: PoolStand {
    private let lanes: [PoolLane<Pool>]
    private let address: GuestAddress

    init(lanes: [PoolLane<Pool>], address: GuestAddress) {
        self.lanes = lanes
        self.address = address
    }

    func room(liveCountMax: Int) -> Int {
        defer { for lane in lanes { lane.drainSteady() } }
        for index in 0..<liveCountMax {
            for lane in lanes where !lane.fillSteady(index) { return index }
        }
        return liveCountMax
    }

    func use(liveCount: Int) {
        for lane in lanes { lane.use(liveCount: liveCount) }
    }

    func measureSteady(
        _ operation: PoolOperation, byteCount: Int, seconds: Double
    ) throws(CommandFailure) -> PoolSample {
        try onLanes { lane, line in
            lane.measureSteady(operation, byteCount: byteCount, seconds: seconds, line: line)
        }
        return sample
    }

    func wear(_ stepCount: Int) throws(CommandFailure) -> ChurnTally {
        let share = stepCount / lanes.count
        try onLanes { lane, _ in lane.wear(share) }
        return lanes.reduce(into: ChurnTally()) { $0 += $1.tally }
    }

    func measureChurn(
        seconds: Double, clockNanoseconds: UInt64
    ) throws(CommandFailure) -> PoolSample {
        try onLanes { lane, line in
            lane.measureChurn(seconds: seconds, clockNanoseconds: clockNanoseconds, line: line)
        }
        return sample
    }

    private var sample: PoolSample { lanes.reduce(into: PoolSample()) { $0 += $1.sample } }

    private func onLanes(
        _ body: @escaping @Sendable (PoolLane<Pool>, StartLine) -> Void
    ) throws(CommandFailure) {
        let lanes = lanes
        let line = StartLine(threadCount: lanes.count)
        try onThreads(lanes.count) { body(lanes[$0], line) }
    }

    var latencies: LatencyHistogram {
        lanes.dropFirst().reduce(into: lanes[0].latencies) { $0.add($1.latencies) }
    }

    func resetLatencies() {
        for lane in lanes { lane.resetLatencies() }
    }

    func drain() {
        for lane in lanes { lane.drain() }
    }

    func fill(slotCount: Int, seed: UInt64) {
        guard slotCount > 0 else { return }
        var random = SplitMix64(seed: seed)
        var used = 0
        // Up to the last page, in turn on all lanes.
        let shortest = SizeMix.table.min() ?? 1
        var isFull = false
        while !isFull {
            let lane = lanes[random.next(below: lanes.count)]
            var byteCount = SizeMix.table[random.next(below: SizeMix.table.count)]
            var taken = lane.fill(byteCount: byteCount, address: address)
            while taken == nil, byteCount > shortest {
                byteCount /= 2
                taken = lane.fill(byteCount: byteCount, address: address)
            }
            used += taken ?? 0
            isFull = taken == nil
        }
        while used > slotCount {
            let lane = lanes[random.next(below: lanes.count)]
            guard lane.fillingCount > 0 else { continue }
            used -= lane.unfill(random.next(below: lane.fillingCount))
        }
    }
}
