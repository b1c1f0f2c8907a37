import TestSupport
import Testing

@testable import BlockBackend

@Suite struct PageCacheGateTests {
    /// A table in which the rows named are misaligned writes and the others direct ones.
    private func table(misaligned: Set<Int>) -> TransferTable {
        var table = TransferTable(capacity: 16)
        for row in 0..<16 {
            _ = table.takeRow()
            table[row].step = .write
            table[row].isMisaligned = misaligned.contains(row)
        }
        return table
    }

    @Test("Writes of one kind pass together", arguments: [true, false])
    func oneKind(misaligned: Bool) {
        var table = table(misaligned: misaligned ? Set(0..<16) : [])
        var gate = PageCacheGate()
        for row in 0..<16 {
            let passes = gate.enter(row, of: &table)
            #expect(passes)
        }
    }

    @Test("A write of the other kind waits until the last of the first kind is over")
    func otherKindWaits() {
        var table = table(misaligned: [2])
        var gate = PageCacheGate()
        let passes = (0..<3).map { gate.enter($0, of: &table) }
        #expect(passes == [true, true, false])
        gate.leave(table[0])
        let early = gate.nextAdmitted(of: &table)
        #expect(early == nil)
        gate.leave(table[1])
        let next = gate.nextAdmitted(of: &table)
        #expect(next == 2)
        let none = gate.nextAdmitted(of: &table)
        #expect(none == nil)
    }

    @Test("A write of the kind under way does not overtake one that waits")
    func noOvertaking() {
        var table = table(misaligned: [1, 4])
        var gate = PageCacheGate()
        let passes = (0..<5).map { gate.enter($0, of: &table) }
        #expect(passes == [true, false, false, false, false])
        var admitted: [[Int]] = []
        for left in [[0], [1], [2, 3]] {
            for row in left { gate.leave(table[row]) }
            var group: [Int] = []
            while let row = gate.nextAdmitted(of: &table) { group.append(row) }
            admitted.append(group)
        }
        #expect(admitted == [[1], [2, 3], [4]])
    }

    @Test(
        "No two kinds are ever under way together, none starves, and order is kept",
        arguments: 1...16 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var table = TransferTable(capacity: 16)
        var gate = PageCacheGate()
        var waiting: [Int] = []
        var underway: [Int] = []
        var entered = 0
        var left = 0
        for step in 0..<3000 {
            let isFull = table.isFull
            // The last steps only finish, so that everything must come out.
            if step < 2900, Bool.random(using: &generator), !isFull {
                let row = table.takeRow()
                table[row] = Transfer(tag: 0, step: .write, fileOffset: 0, byteCount: 512)
                table[row].isMisaligned = Int.random(in: 0..<4, using: &generator) == 0
                entered += 1
                let mine = table[row].isMisaligned
                let isAlone = underway.allSatisfy { table[$0].isMisaligned == mine }
                let passes = gate.enter(row, of: &table)
                #expect(passes == (waiting.isEmpty && isAlone), "seed \(seed)")
                if passes { underway.append(row) } else { waiting.append(row) }
            } else if let row = underway.randomElement(using: &generator) {
                underway.removeAll { $0 == row }
                gate.leave(table[row])
                table.freeRow(row)
                left += 1
                while let next = gate.nextAdmitted(of: &table) {
                    #expect(next == waiting.first, "seed \(seed)")
                    waiting.removeFirst()
                    underway.append(next)
                }
            }
            let kinds = Set(underway.map { table[$0].isMisaligned })
            #expect(kinds.count <= 1, "seed \(seed)")
            #expect(
                waiting.isEmpty || !underway.isEmpty, "seed \(seed): nobody is left to wait for")
        }
        #expect(entered == left, "seed \(seed)")
    }
}
