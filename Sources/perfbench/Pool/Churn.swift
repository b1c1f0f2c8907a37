import BasicContainers
import Histogram
import SharedMemory

/// Mappings of mixed sizes, made and ended in random order, at a fixed occupancy.
///
/// Sizes are drawn one after the other, the same for every path. While a mapping of the next size
/// would lift the occupancy above the target, a step ends a random mapping; otherwise it makes the
/// mapping. What is refused is dropped and takes no part in the occupancy, so a path that refuses
/// more is as full as the others, and not let off the sizes that it refuses.
struct Churn: ~Copyable {
    /// The first of the pool's cells that the churn uses.
    private let firstCell: Int
    /// The numbers of cells, from the first one: those in use first, in no order.
    private var order: RigidArray<UInt32>
    private var slotCounts: RigidArray<UInt16>
    private var liveCount = 0
    private var slotCount = 0
    private let slotCountTarget: Int
    private let sizes: RigidArray<Size>
    private let address: GuestAddress
    /// Of sizes, and of the mappings that end.
    private var sizeRandom: SplitMix64
    private var victimRandom: SplitMix64
    /// Of the next mapping.
    private var next: Size

    private struct Size {
        let byteCount: Int
        let slotCount: Int
    }

    /// - Parameters:
    ///   - cells: as many of the pool's as ``cellCount(slotCountTarget:)`` says.
    ///   - slotCountTarget: the most slots in use, which are once the first mappings were made.
    ///   - address: of all buffers, whose contents do not matter.
    init(cells: Range<Int>, slotCountTarget: Int, address: GuestAddress, seed: UInt64) {
        firstCell = cells.lowerBound
        self.slotCountTarget = slotCountTarget
        self.address = address
        sizeRandom = SplitMix64(seed: seed)
        victimRandom = SplitMix64(seed: ~seed)
        // Looked up, so that no step divides by the size of a slot.
        let sizes = SizeMix.table.map {
            Size(byteCount: $0, slotCount: PoolSizes.slotCount(of: $0))
        }
        self.sizes = RigidArray(capacity: sizes.count, copying: sizes)
        next = sizes[Int(truncatingIfNeeded: sizeRandom.next() & 15)]
        order = RigidArray(capacity: cells.count, copying: (0..<UInt32(cells.count)))
        slotCounts = RigidArray(repeating: 0, count: cells.count)
    }

    /// The most mappings that can be live at once.
    static func cellCount(slotCountTarget: Int) -> Int {
        slotCountTarget / PoolSizes.slotCount(of: SizeMix.table.min() ?? 1)
    }

    /// Performs so many steps.
    @inline(never)
    mutating func run(
        _ count: Int, on pool: inout some PoolUnderTest & ~Copyable
    ) -> ChurnTally {
        var tally = ChurnTally()
        for _ in 0..<count {
            guard let cell = place(endingIn: &pool) else { continue }
            let buffer = GuestRange(address: address, byteCount: next.byteCount)
            keep(pool.map(buffer, into: cell), &tally)
        }
        return tally
    }

    /// Performs so many steps, and keeps how long each map took.
    ///
    /// - Parameter clockNanoseconds: what reading the clock costs, which is subtracted.
    @inline(never)
    mutating func runTimed(
        _ count: Int, on pool: inout some PoolUnderTest & ~Copyable,
        into latencies: inout LatencyHistogram, clockNanoseconds: UInt64
    ) -> ChurnTally {
        var tally = ChurnTally()
        for _ in 0..<count {
            guard let cell = place(endingIn: &pool) else { continue }
            let buffer = GuestRange(address: address, byteCount: next.byteCount)
            let begin = monotonicNanoseconds()
            let isMapped = pool.map(buffer, into: cell)
            let taken = monotonicNanoseconds() &- begin
            keep(isMapped, &tally)
            latencies.record(taken > clockNanoseconds ? taken - clockNanoseconds : 0)
        }
        return tally
    }

    /// The pool's cell for the next mapping; or, while there is no room for it below the target,
    /// ends another one.
    @inline(__always)
    private mutating func place(endingIn pool: inout some PoolUnderTest & ~Copyable) -> Int? {
        if slotCount &+ next.slotCount <= slotCountTarget {
            return firstCell + Int(order[liveCount])
        }
        guard liveCount > 0 else {
            // A target below one mapping of this size.
            drawSize()
            return nil
        }
        let victim = victimRandom.next(below: liveCount)
        liveCount &-= 1
        order.swapAt(victim, liveCount)
        let cell = Int(order[liveCount])
        slotCount &-= Int(slotCounts[cell])
        pool.unmap(firstCell + cell)
        return nil
    }

    /// Keeps the mapping just made, if it was, and draws the size of the next.
    @inline(__always)
    private mutating func keep(_ isMapped: Bool, _ tally: inout ChurnTally) {
        tally.mapCount &+= 1
        if isMapped {
            slotCounts[Int(order[liveCount])] = UInt16(truncatingIfNeeded: next.slotCount)
            slotCount &+= next.slotCount
            liveCount &+= 1
        } else {
            tally.refusalCount &+= 1
        }
        drawSize()
    }

    @inline(__always)
    private mutating func drawSize() {
        next = sizes[Int(truncatingIfNeeded: sizeRandom.next() & 15)]
    }

    /// Ends all mappings.
    mutating func drain(from pool: inout some PoolUnderTest & ~Copyable) {
        for index in 0..<liveCount { pool.unmap(firstCell + Int(order[index])) }
        liveCount = 0
        slotCount = 0
    }
}
