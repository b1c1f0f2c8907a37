import BlockBackend
import SharedMemory
import Testing
import Virtqueue

@testable import perfbench

@Suite struct RequestSourceTests {
    private let buffer = GuestRange(address: GuestAddress(0), byteCount: 4096)

    private func requests(
        _ pattern: ReadWrite, blocks: Int, count: Int, seed: UInt64 = 1
    ) -> [(operation: BlockOperation, sector: UInt64)] {
        let plan = BlockCase(pattern: pattern, blockByteCount: 4096, depth: 1)
        var source = RequestSource(
            plan, storageByteCount: UInt64(blocks * 4096 + 512), seed: seed)
        return (0..<count).map { _ in
            let request = source.next(into: buffer)
            return (request.operation, request.sector)
        }
    }

    @Test func `sequential requests follow each other and wrap around`() {
        let sectors = requests(.read, blocks: 3, count: 5).map(\.sector)
        #expect(zip(sectors, sectors.dropFirst()).allSatisfy { $1 == ($0 + 8) % 24 })
        #expect(requests(.write, blocks: 3, count: 5).allSatisfy { $0.operation == .write })
    }

    @Test func `random requests reach every block and none past the end`() {
        let sectors = Set(requests(.randread, blocks: 16, count: 2000).map(\.sector))
        #expect(sectors == Set((0..<16).map { UInt64($0 * 8) }))
    }

    @Test func `a mixed pattern is half reads and half writes`() {
        let writes = requests(.randrw, blocks: 16, count: 4000).filter { $0.operation == .write }
        #expect((1850...2150).contains(writes.count))
    }

    @Test func `the same seed gives the same requests, another one others`() {
        let first = requests(.randread, blocks: 1000, count: 50).map(\.sector)
        #expect(first == requests(.randread, blocks: 1000, count: 50).map(\.sector))
        #expect(first != requests(.randread, blocks: 1000, count: 50, seed: 2).map(\.sector))
    }
}
