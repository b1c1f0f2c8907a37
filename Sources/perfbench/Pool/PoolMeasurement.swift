import SharedMemory
import SwiotlbPool

/// Runs every operation at every size, round by round, the pool and plain `memcpy` in turn.
struct PoolMeasurement {
    let memories: Memories
    let liveCount: Int
    let roundCount: Int
    let roundSeconds: Double

    /// One operation at one size.
    struct CaseResult {
        let operation: PoolOperation
        let byteCount: Int
        /// CPU nanoseconds per operation through the pool, of each round.
        var pool: [Double] = []
        /// CPU nanoseconds of the copy alone, of each round; empty for an operation without one.
        var copy: [Double] = []
        var occupancy = 0.0
    }

    func measure(
        _ operation: PoolOperation, byteCount: Int, progress: inout ProgressLine
    ) throws(MapRefusal) -> CaseResult {
        var result = CaseResult(operation: operation, byteCount: byteCount)
        let pool = BouncePool(
            window: memories.window, at: Memories.windowBase, privateMemory: memories.guestMap)
        var work = PoolWork(mapper: pool.makeMapper(), liveCount: liveCount)
        var buffers = GuestBuffers(
            guestMemoryByteCount: memories.guest.byteCount, bufferByteCount: byteCount)
        let slots = (byteCount + PoolGeometry.slotByteCount - 1) / PoolGeometry.slotByteCount
        result.occupancy = Double(slots * liveCount) / Double(pool.statistics.slotCount)
        for round in 0...roundCount where !Interruption.isRequested {
            progress.advance(
                "\(operation.rawValue) \(ByteSize(byteCount)), round \(round) of \(roundCount)")
            var copyCost: Double?
            if round % 2 == 0 { copyCost = measureCopy(operation, &buffers) }
            let cost = try work.measure(operation, buffers: &buffers, seconds: roundSeconds)
            if round % 2 == 1 { copyCost = measureCopy(operation, &buffers) }
            // The first round warms up.
            guard round > 0 else { continue }
            result.pool.append(cost)
            if let copyCost { result.copy.append(copyCost) }
        }
        return result
    }

    private func measureCopy(
        _ operation: PoolOperation, _ buffers: inout GuestBuffers
    ) -> Double? {
        guard operation != .mapUnmap else { return nil }
        return memories.floor.measure(
            operation == .mapCopyInUnmap ? .intoWindow : .outOfWindow, buffers: &buffers,
            slotsInUse: liveCount, seconds: roundSeconds)
    }
}
