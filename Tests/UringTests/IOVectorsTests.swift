import Glibc
import SharedMemory
import Testing

@testable import Uring

@Suite struct IOVectorsTests {
    let memory: HostMemory
    let vectors = IOVectors(rowCount: 3, rowCapacity: 4)

    init() throws {
        memory = try HostMemory.anonymous(byteCount: 8192)
    }

    /// What the kernel would read of a list.
    private func ranges(_ list: IOVectors.List) -> [HostRange] {
        (0..<list.count).map { index in
            // SAFETY: the list has that many vectors.
            let vector = unsafe vectors.pointer(to: list)[index]
            let address = unsafe UInt64(UInt(bitPattern: vector.iov_base))
            let start = memory.hostRange.address
            return unsafe memory.hostRange(
                offset: Int(address - start), byteCount: vector.iov_len)
        }
    }

    private func list(inRow row: Int = 1, _ lengths: [Int]) -> IOVectors.List {
        var list = vectors.emptyList(inRow: row)
        for (index, length) in lengths.enumerated() {
            let range = memory.hostRange(offset: index * 1000, byteCount: length)
            #expect(vectors.append(range, to: &list))
        }
        return list
    }

    @Test func appendedRangesAreKeptInOrderUntilTheRowIsFull() {
        var list = list([10, 20, 30, 40])
        let extra = memory.hostRange(offset: 0, byteCount: 1)
        #expect(!vectors.append(extra, to: &list))
        #expect(list.count == 4)
        #expect(
            ranges(list)
                == [10, 20, 30, 40].enumerated().map {
                    memory.hostRange(offset: $0.offset * 1000, byteCount: $0.element)
                })
    }

    @Test func rowsDoNotTouchEachOther() {
        let before = list(inRow: 0, [1, 2, 3, 4])
        let after = list(inRow: 2, [5, 6, 7, 8])
        let middle = list(inRow: 1, [9, 9, 9, 9])
        #expect(ranges(before).map(\.byteCount) == [1, 2, 3, 4])
        #expect(ranges(after).map(\.byteCount) == [5, 6, 7, 8])
        #expect(ranges(middle).map(\.byteCount) == [9, 9, 9, 9])
    }

    @Test(arguments: Array(0...60))
    func dropFirstTakesExactlyThatManyBytesOffTheFront(count: Int) {
        let lengths = [10, 20, 30]
        var list = list(lengths)
        vectors.dropFirst(count, from: &list)
        // Byte by byte: the addresses that must be left.
        var expected: [UInt64] = []
        for (index, length) in lengths.enumerated() {
            let start = memory.hostRange.address + UInt64(index * 1000)
            expected += (0..<UInt64(length)).map { start + $0 }
        }
        expected.removeFirst(count)
        let left = ranges(list).flatMap { range in
            (0..<UInt64(range.byteCount)).map { range.address + $0 }
        }
        #expect(left == expected)
    }

    @Test func droppingEverythingInPartsEmptiesTheList() {
        var list = list([10, 20])
        vectors.dropFirst(7, from: &list)
        vectors.dropFirst(3, from: &list)
        #expect(list.count == 1)
        vectors.dropFirst(20, from: &list)
        #expect(list.count == 0)
    }

    @Test func droppingMoreThanThereIsTraps() async {
        await #expect(processExitsWith: .failure) {
            let vectors = IOVectors(rowCount: 1, rowCapacity: 1)
            var list = vectors.emptyList(inRow: 0)
            vectors.dropFirst(1, from: &list)
        }
    }

    @Test func rowThatDoesNotExistTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = IOVectors(rowCount: 2, rowCapacity: 1).emptyList(inRow: 2)
        }
    }

    @Test func rangesThatTouchTheLastOneMakeItLonger() throws {
        let memory = try HostMemory.anonymous(byteCount: 16384)
        let vectors = IOVectors(rowCount: 1, rowCapacity: 2)
        var list = vectors.emptyList(inRow: 0)
        let ranges = [(0, 100), (8192, 100), (8292, 200), (8492, 1)].map {
            memory.hostRange(offset: $0.0, byteCount: $0.1)
        }
        let fits = ranges.map { vectors.append($0, to: &list) }
        #expect(fits == [true, true, true, true])
        #expect(list.count == 2)
        vectors.dropFirst(401, from: &list)
        #expect(list.count == 0)
    }
}
