import SharedMemory
import Testing

@testable import Virtqueue

/// Every way in which a packed queue's region can be wrong.
struct PackedInflightRecoveryTests {
    /// A region with one buffer of rows 1 and 2 under way, and rows 0 and 3 free.
    private func fault(
        queueSize: Int = 4, isPacked: Bool = true, _ change: (Region) -> Void = { _ in }
    ) throws -> QueueFault? {
        let ring = try RawRing(size: 4, features: .packedRing)
        ring.describePacked(0, flags: Lap.firstAvailable)
        let region = try Region(queueSize: queueSize, isPacked: isPacked)
        if queueSize == 4, isPacked {
            region.storePacked(freeHead: 3, oldFreeHead: 3, used: 0x8000, oldUsed: 0x8000)
            region.storePacked(row: 0, next: 4)
            region.storePacked(row: 1, inflight: 1, next: 2, last: 2, count: 2)
            region.storePacked(row: 2, next: 1)
            region.storePacked(row: 3, next: 0)
        }
        change(region)
        return ring.startFault(region)
    }

    @Test func wellFormed() throws {
        #expect(try fault() == nil)
        // The end of the free list is any row that there is not.
        #expect(try fault { $0.storePacked(row: 0, next: .max) } == nil)
        // What follows the last row of a buffer, and where that is, comes from nowhere.
        #expect(try fault { $0.storePacked(row: 2, next: .max) } == nil)
        #expect(
            try fault { $0.storePacked(row: 1, inflight: 9, next: 2, last: 77, count: 2) } == nil)
        // Free rows may say what they like.
        #expect(try fault { $0.storePacked(row: 3, inflight: 1, next: 0, count: 99) } == nil)
    }

    private static let changes: [@Sendable (Region) -> Void] = [
        { $0.storeHeader(version: 2) },
        { $0.storeHeader(rowCount: 3) },
        { $0.memory.store(1 as UInt64, at: 0) },
        // Positions and lists outside.
        { $0.storePacked(freeHead: 5, oldFreeHead: 3, used: 0x8000, oldUsed: 0x8000) },
        { $0.storePacked(freeHead: 3, oldFreeHead: .max, used: 0x8000, oldUsed: 0x8000) },
        { $0.storePacked(freeHead: 3, oldFreeHead: 3, used: 0x8004, oldUsed: 0x8000) },
        { $0.storePacked(freeHead: 3, oldFreeHead: 3, used: 0x8000, oldUsed: 0x7fff) },
        { $0.memory.store(0x8000 as UInt16, at: 16) },
        // The free list loops, is too short, or goes through a buffer.
        { $0.storePacked(row: 0, next: 3) },
        { $0.storePacked(row: 0, next: 0) },
        { $0.storePacked(row: 3, next: 4) },
        { $0.storePacked(row: 0, next: 1) },
        { $0.storePacked(row: 0, next: 2) },
        // A buffer of no rows, of too many, of rows that are not its own, or not there.
        { $0.storePacked(row: 1, inflight: 1, next: 2, last: 2, count: 0) },
        { $0.storePacked(row: 1, inflight: 1, next: 2, last: 2, count: 1) },
        { $0.storePacked(row: 1, inflight: 1, next: 2, last: 2, count: 3) },
        { $0.storePacked(row: 1, inflight: 1, next: 2, last: 2, count: .max) },
        { $0.storePacked(row: 1, inflight: 1, next: 1, last: 2, count: 2) },
        { $0.storePacked(row: 1, inflight: 1, next: 3, last: 2, count: 2) },
        { $0.storePacked(row: 1, inflight: 1, next: 4, last: 2, count: 2) },
        { $0.storePacked(row: 1, inflight: 0, next: 2, last: 2, count: 2) },
        { $0.storePacked(row: 2, inflight: 1, next: 0, count: 1) },
    ]

    @Test(arguments: changes.indices) func malformed(index: Int) throws {
        #expect(try fault(Self.changes[index]) == .invalidInflightRegion)
    }

    @Test func ofAnotherSizeOrFormat() throws {
        #expect(try fault(queueSize: 2) == .invalidInflightRegion)
        #expect(try fault(isPacked: false) == .invalidInflightRegion)
        #expect(try fault(queueSize: 8) == nil)
    }
}
