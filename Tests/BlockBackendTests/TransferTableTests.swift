import TestSupport
import Testing

@testable import BlockBackend

@Suite struct TransferTableTests {
    @Test("Every row is given out once, until the table is full")
    func takesEveryRow() {
        var table = TransferTable(capacity: 5)
        let startsEmpty = table.isEmpty
        #expect(startsEmpty)
        var rows = Set<Int>()
        for count in 1...5 {
            let wasFull = table.isFull
            #expect(!wasFull)
            rows.insert(table.takeRow())
            #expect(rows.count == count)
        }
        let (isFull, isEmpty, capacity) = (table.isFull, table.isEmpty, table.capacity)
        #expect(isFull)
        #expect(!isEmpty)
        #expect(capacity == 5)
        #expect(rows == Set(0..<5))
        for row in rows { table.freeRow(row) }
        let endsEmpty = table.isEmpty
        #expect(endsEmpty)
    }

    @Test("The row freed last is taken first")
    func lastFreedFirst() {
        var table = TransferTable(capacity: 4)
        let rows = (0..<4).map { _ in table.takeRow() }
        table.freeRow(rows[2])
        table.freeRow(rows[0])
        let (first, second) = (table.takeRow(), table.takeRow())
        #expect(first == rows[0])
        #expect(second == rows[2])
    }

    @Test("Rows are changed in place, each for itself")
    func rowsAreSeparate() {
        var table = TransferTable(capacity: 2)
        table[0].tag = 10
        table[1].tag = 11
        table[0].doneByteCount += 5
        let (first, second, done) = (table[0].tag, table[1].tag, table[1].doneByteCount)
        #expect(first == 10)
        #expect(second == 11)
        #expect(done == 0)
    }
}

@Suite struct TransferQueueTests {
    @Test("A queue gives rows back in the order they came")
    func firstInFirstOut() {
        var table = TransferTable(capacity: 8)
        var queue = TransferQueue()
        #expect(queue.isEmpty)
        for row in [3, 0, 7, 1] { queue.append(row, of: &table) }
        #expect(queue.first == 3)
        var order: [Int] = []
        while let row = queue.removeFirst(of: &table) { order.append(row) }
        #expect(order == [3, 0, 7, 1])
        #expect(queue.isEmpty)
        let nothing = queue.removeFirst(of: &table)
        #expect(nothing == nil)
    }

    @Test("A queue that ran empty can be filled again, with a row that was last before")
    func refilled() {
        var table = TransferTable(capacity: 4)
        var queue = TransferQueue()
        queue.append(2, of: &table)
        let alone = queue.removeFirst(of: &table)
        queue.append(2, of: &table)
        queue.append(1, of: &table)
        let (first, second) = (queue.removeFirst(of: &table), queue.removeFirst(of: &table))
        #expect(alone == 2)
        #expect(first == 2)
        #expect(second == 1)
    }

    @Test(
        "Two queues through one table behave as arrays do", arguments: 1...8 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var table = TransferTable(capacity: 16)
        var queues = [TransferQueue(), TransferQueue()]
        var models: [[Int]] = [[], []]
        for _ in 0..<2000 {
            let side = Int.random(in: 0...1, using: &generator)
            let isFull = table.isFull
            if Bool.random(using: &generator), !isFull {
                let row = table.takeRow()
                queues[side].append(row, of: &table)
                models[side].append(row)
            } else {
                let row = queues[side].removeFirst(of: &table)
                #expect(row == models[side].first, "seed \(seed)")
                if let row {
                    models[side].removeFirst()
                    table.freeRow(row)
                }
            }
            #expect(queues[side].isEmpty == models[side].isEmpty, "seed \(seed)")
        }
    }
}
