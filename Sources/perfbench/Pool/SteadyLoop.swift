import SharedMemory

/// Mappings made and ended without any I/O, a fixed number of them live at any time: the oldest
/// ends, one begins.
struct SteadyLoop {
    /// The pool's cells that the loop uses, each of them for a live mapping.
    private(set) var cells: Range<Int>
    private var buffers: GuestBuffers
    /// The oldest live mapping, which ends next.
    private var oldest: Int

    init(cells: Range<Int>, buffers: GuestBuffers) {
        self.cells = cells
        self.buffers = buffers
        oldest = cells.lowerBound
    }

    /// Uses the first so many of its cells from now on; none of them has a mapping.
    mutating func use(liveCount: Int) {
        cells = cells.lowerBound..<cells.lowerBound + liveCount
        oldest = cells.lowerBound
    }

    /// Makes one mapping.
    ///
    /// - Returns: whether there was room for it.
    mutating func fill(_ index: Int, on pool: inout some PoolUnderTest & ~Copyable) -> Bool {
        pool.map(buffers.next(), into: cells.lowerBound + index)
    }

    /// Makes and ends so many mappings.
    ///
    /// - Returns: how many were refused.
    @inline(never)
    mutating func run(_ count: Int, on pool: inout some PoolUnderTest & ~Copyable) -> Int {
        var refusalCount = 0
        for _ in 0..<count {
            pool.unmap(oldest)
            if !pool.map(buffers.next(), into: oldest) { refusalCount &+= 1 }
            oldest = oldest &+ 1 == cells.upperBound ? cells.lowerBound : oldest &+ 1
        }
        return refusalCount
    }

    /// Ends all mappings.
    mutating func drain(from pool: inout some PoolUnderTest & ~Copyable) {
        for cell in cells { pool.unmap(cell) }
    }
}
