import SharedMemory
import SwiotlbPool

/// One thread's way into an allocator that is measured.
///
/// The measured loops are generic over it and specialised for each path, so what is timed is the
/// path's own calls: of `SwiotlbPool` across modules, of the C models across object files. An
/// implementation has nothing but such a call in `map` and `unmap`. It also keeps the mappings, in
/// numbered cells, in whatever form its path returns them.
protocol PoolUnderTest: ~Copyable, SendableMetatype {
    /// Chooses what is copied from now on; nothing, before it is called.
    ///
    /// - Parameter liveCount: mappings live at any time, where it is always the same.
    mutating func prepare(for operation: PoolOperation, liveCount: Int)

    /// Maps a buffer into a cell that has no mapping, as all of them at first.
    ///
    /// - Returns: false where the pool refuses; the cell stays empty.
    mutating func map(_ buffer: GuestRange, into cell: Int) -> Bool

    /// Ends the mapping of a cell, if it has one.
    mutating func unmap(_ cell: Int)

    // The measured loops on this path. They are requirements because the code around them is generic
    // at run time: behind these calls, one a batch, the path is known and the loops specialised.

    mutating func run(_ loop: inout SteadyLoop, count: Int) -> Int
    mutating func run(_ churn: inout Churn, count: Int) -> ChurnTally
    mutating func runTimed(
        _ churn: inout Churn, count: Int, latencies: inout LatencyHistogram,
        clockNanoseconds: UInt64
    ) -> ChurnTally
}

extension PoolUnderTest where Self: ~Copyable {
    mutating func run(_ loop: inout SteadyLoop, count: Int) -> Int {
        loop.run(count, on: &self)
    }

    mutating func run(_ churn: inout Churn, count: Int) -> ChurnTally {
        churn.run(count, on: &self)
    }

    mutating func runTimed(
        _ churn: inout Churn, count: Int, latencies: inout LatencyHistogram,
        clockNanoseconds: UInt64
    ) -> ChurnTally {
        churn.runTimed(
            count, on: &self, into: &latencies, clockNanoseconds: clockNanoseconds)
    }
}

/// The sizes of the pools that are compared: those that a `BouncePool` has when it is told nothing
/// else.
enum PoolSizes {
    static let slotByteCount = PoolGeometry.standard.slotByteCount
    static let segmentSlotCount = PoolGeometry.standard.segmentSlotCount
    static let segmentByteCount = PoolGeometry.standard.segmentByteCount

    /// Slots that a mapping of so many bytes takes.
    static func slotCount(of byteCount: Int) -> Int {
        (byteCount + slotByteCount - 1) / slotByteCount
    }
}
