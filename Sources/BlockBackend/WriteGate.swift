/// Keeps direct writes and writes through the page cache apart in time.
///
/// The page cache works in blocks: a write of one sector reads the block around it and writes all of it
/// back later. A direct write to another sector of that block in between would be undone. Nothing that
/// a driver may do forbids it to have both under way, so the backend does: a write of the one kind waits
/// while any of the other is under way, first come, first served. Writes of the same kind, and reads,
/// never wait; where all writes are aligned the gate is two comparisons.
struct WriteGate {
    private var directCount = 0
    private var misalignedCount = 0
    private var waiting = TransferQueue()

    /// Lets a write pass, or queues it.
    mutating func enter(_ row: Int, of table: inout TransferTable) -> Bool {
        guard waiting.isEmpty, admits(table[row]) else {
            waiting.append(row, of: &table)
            return false
        }
        count(table[row], by: 1)
        return true
    }

    /// Notes that a write which had passed is over.
    mutating func leave(_ transfer: borrowing Transfer) {
        count(transfer, by: -1)
    }

    /// The next queued write that may pass now, which then has.
    mutating func nextAdmitted(of table: inout TransferTable) -> Int? {
        guard let row = waiting.first, admits(table[row]) else { return nil }
        count(table[row], by: 1)
        return waiting.removeFirst(of: &table)
    }

    private func admits(_ transfer: borrowing Transfer) -> Bool {
        transfer.isMisaligned ? directCount == 0 : misalignedCount == 0
    }

    private mutating func count(_ transfer: borrowing Transfer, by amount: Int) {
        if transfer.isMisaligned { misalignedCount += amount } else { directCount += amount }
    }
}
