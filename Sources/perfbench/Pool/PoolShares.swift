/// Which cells of a lane's pool are for what.
struct PoolShares {
    /// Of the mappings that are made and ended one after the other.
    let steadyCells: Range<Int>
    /// Of the mappings that stay in place.
    let fillingCells: Range<Int>
    let churnCells: Range<Int>
    /// The slots that a churn keeps in use.
    let churnSlotCount: Int

    init(liveCount: Int, fillingCountMax: Int, churnSlotCount: Int) {
        steadyCells = 0..<liveCount
        fillingCells = liveCount..<liveCount + fillingCountMax
        let first = fillingCells.upperBound
        churnCells = first..<first + Churn.cellCount(slotCountTarget: churnSlotCount)
        self.churnSlotCount = churnSlotCount
    }

    var cellCount: Int { churnCells.upperBound }
}
