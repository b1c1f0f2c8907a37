/// Keeps direct writes and what goes through the page cache apart in time.
///
/// The page cache works in blocks. A write of one sector through it reads the block around it and
/// writes all of it back later, which would undo a direct write to another sector of that block in
/// between. A read through it beside a direct write leaves old bytes in the cache, which a block
/// device does not throw out when an asynchronous direct write ends. Nothing forbids a driver to
/// have both under way, so the backend keeps them apart: a direct write waits while anything
/// misaligned is under way, something misaligned while a direct write is, first come, first served.
/// Requests of one kind do not wait for each other, and direct reads for nothing; where all is
/// aligned the gate is two comparisons.
struct PageCacheGate {
    private var directWriteCount = 0
    private var misalignedCount = 0
    private var waiting = TransferQueue()

    /// Lets a request pass, or queues it.
    mutating func enter(_ row: Int, of table: inout TransferTable) -> Bool {
        guard waiting.isEmpty, admits(table[row]) else {
            waiting.append(row, of: &table)
            return false
        }
        count(table[row], by: 1)
        return true
    }

    /// Notes that a request which had passed is over.
    mutating func leave(_ transfer: borrowing Transfer) {
        count(transfer, by: -1)
    }

    /// The next queued request that may pass now, which then has.
    mutating func nextAdmitted(of table: inout TransferTable) -> Int? {
        guard let row = waiting.first, admits(table[row]) else { return nil }
        count(table[row], by: 1)
        return waiting.removeFirst(of: &table)
    }

    private func admits(_ transfer: borrowing Transfer) -> Bool {
        transfer.isMisaligned ? directWriteCount == 0 : misalignedCount == 0
    }

    private mutating func count(_ transfer: borrowing Transfer, by amount: Int) {
        if transfer.isMisaligned { misalignedCount += amount } else { directWriteCount += amount }
    }
}
