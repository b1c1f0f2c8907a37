import SharedMemory
import Testing

@testable import Virtqueue

struct DirtyLogTests {
    /// Which pages are noted after some were marked, in a log of eight bytes at offset 8.
    private func pages(_ ranges: [(UInt64, Int)]) throws -> [Int] {
        let memory = try HostMemory.anonymous(byteCount: 24)
        let log = DirtyLog(memory: memory, offset: 8, byteCount: 8)
        for (address, byteCount) in ranges {
            log.mark(GuestRange(address: GuestAddress(address), byteCount: byteCount))
        }
        #expect(memory.load(UInt64.self, at: 0) == 0 && memory.load(UInt64.self, at: 16) == 0)
        let bytes = memory.bytes(at: 8, byteCount: 8)
        return (0..<64).filter { bytes[$0 / 8] & 1 << UInt8($0 % 8) != 0 }
    }

    @Test func pagesOfARange() throws {
        #expect(try pages([]) == [])
        #expect(try pages([(0, 0), (5000, 0)]) == [])
        #expect(try pages([(0, 1)]) == [0])
        #expect(try pages([(4095, 1), (8192, 4096)]) == [0, 2])
        #expect(try pages([(4095, 2)]) == [0, 1])
        #expect(try pages([(4096 * 7 + 1, 4096)]) == [7, 8])
        #expect(try pages([(4096 * 30, 4096 * 10)]) == Array(30...39))
        // Bits that are set stay.
        #expect(try pages([(0, 1), (4096, 1), (0, 1)]) == [0, 1])
    }

    @Test func endOfTheLog() throws {
        #expect(try pages([(4096 * 63, 4096)]) == [63])
        #expect(try pages([(4096 * 62, 1 << 32)]) == [62, 63])
        #expect(try pages([(4096 * 64, 1), (1 << 63, 4096)]) == [])
        #expect(try pages([(0, Int.max)]) == Array(0...63))
    }

    @Test func endOfTheAddresses() throws {
        #expect(try pages([(.max, 1), (.max, 4096), (.max - 4095, Int.max)]) == [])
        #expect(try pages([(4096 * 60, Int.max)]) == Array(60...63))
    }

    @Test func emptyLog() throws {
        let memory = try HostMemory.anonymous(byteCount: 8)
        let log = DirtyLog(memory: memory, offset: 8, byteCount: 0)
        log.mark(GuestRange(address: GuestAddress(0), byteCount: Int.max))
        #expect(memory.load(UInt64.self, at: 0) == 0)
    }
}
