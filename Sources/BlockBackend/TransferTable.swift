import BasicContainers

/// The requests under way: a fixed table, and queues that run through it.
struct TransferTable: ~Copyable {
    private var transfers: RigidArray<Transfer>
    private var free: RigidArray<Int>

    init(capacity: Int) {
        transfers = RigidArray(capacity: capacity)
        free = RigidArray(capacity: capacity)
        for index in (0..<capacity).reversed() {
            transfers.append(Transfer(tag: 0, step: .sync, fileOffset: 0, byteCount: 0))
            free.append(index)
        }
    }

    var capacity: Int { transfers.count }
    var isFull: Bool { free.isEmpty }
    var isEmpty: Bool { free.count == transfers.count }

    /// Takes a free row; the one freed last, which is still in cache.
    ///
    /// - Precondition: the table is not full.
    mutating func takeRow() -> Int { free.removeLast() }

    mutating func freeRow(_ row: Int) { free.append(row) }

    subscript(row: Int) -> Transfer {
        _read { yield transfers[row] }
        _modify { yield &transfers[row] }
    }
}

/// A first-in, first-out queue of rows of a ``TransferTable``, linked through them.
struct TransferQueue {
    private(set) var first: Int?
    private var last: Int?

    var isEmpty: Bool { first == nil }

    mutating func append(_ row: Int, of table: inout TransferTable) {
        table[row].next = nil
        if let last { table[last].next = row } else { first = row }
        last = row
    }

    mutating func removeFirst(of table: inout TransferTable) -> Int? {
        guard let row = first else { return nil }
        first = table[row].next
        if first == nil { last = nil }
        return row
    }
}
