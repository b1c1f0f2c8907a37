import AllocationCounter
import SharedMemory
import SwiotlbPool
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

private let base: UInt64 = 0x100_0000

@Suite(
    .enabled(if: Machine.hasUring, "io_uring is not permitted here"),
    .enabled(if: allocation_counter_works(), "allocations cannot be counted here"),
    .enabled(if: isOptimizedBuild, "an unoptimised build allocates for every access of a row"))
struct BlockEngineAllocationTests {
    private static let cycleCount = 10_000

    @Test(
        "The data path allocates nothing", arguments: [Place.tmpfsDirect, .tmpfsBuffered],
        [true, false])
    func engine(place: Place, scattered: Bool) throws {
        try place.withStorage(byteCount: 1 << 20) { storage, _ in
            let memory = try HostMemory.anonymous(byteCount: 1 << 20)
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)))
            let list = [GuestRange(base, 4096), GuestRange(base + 8192, 4096)]
            var failureCount = 0
            func cycle(_ number: Int) throws {
                // Writes of both kinds, so that the gate queues, and one that is refused.
                for index in 0..<4 as Range<UInt64> {
                    let operation: BlockOperation = number & 1 == 0 ? .read : .write
                    let sector = index == 3 ? UInt64.max : index * 16 + (index == 1 ? 1 : 0)
                    let isTaken =
                        scattered
                        ? engine.enqueue(operation, sector: sector, payload: list.span, tag: index)
                        : engine.enqueue(operation, sector: sector, payload: list[0], tag: index)
                    if !isTaken { failureCount += 1 }
                }
                while !engine.isIdle {
                    try engine.submitAndWait()
                    while let end = engine.nextCompletion() {
                        if (end.status == .ok) == (end.tag == 3) { failureCount += 1 }
                    }
                }
            }
            for number in 0..<100 { try cycle(number) }
            let before = allocation_counter_read()
            for number in 0..<Self.cycleCount { try cycle(number) }
            let count = allocation_counter_read() - before
            #expect(count == 0)
            #expect(failureCount == 0)
        }
    }

    @Test("Engines that wait for each other at the gate allocate nothing")
    func gate() throws {
        let gate = PageCacheGate()
        var first = try GateQueue(gate)
        var second = try GateQueue(gate)
        var table = TransferTable(capacity: 4)
        for row in 0..<4 {
            table[row].step = .write
            table[row].isMisaligned = row >= 2
        }
        // Called from another module, the table's accessor may have its frame on the heap.
        let transfers = (0..<4).map { table[$0] }
        var failureCount = 0
        func cycle() {
            // Two direct writes of the first engine; a misaligned one of each waits for both.
            var passes = first.enter(0, of: &table) && first.enter(1, of: &table)
            if second.enter(2, of: &table) || first.enter(3, of: &table) { passes = false }
            first.leave(transfers[0])
            if first.nextAdmitted(of: &table) != nil { passes = false }
            first.leave(transfers[1])
            if first.nextAdmitted(of: &table) != 3 { passes = false }
            if first.nextAdmitted(of: &table) != nil { passes = false }
            second.beginTurn()
            if second.nextAdmitted(of: &table) != 2 { passes = false }
            if second.nextAdmitted(of: &table) != nil { passes = false }
            first.leave(transfers[3])
            second.leave(transfers[2])
            if !passes { failureCount += 1 }
        }
        for _ in 0..<100 { cycle() }
        let before = allocation_counter_read()
        for _ in 0..<Self.cycleCount { cycle() }
        let count = allocation_counter_read() - before
        #expect(count == 0)
        #expect(failureCount == 0)
        #expect(gate.isQuiet)
    }

    @Test("A bounce, from map to unmap, allocates nothing")
    func bounce() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, path in
            let memory = try HostMemory.anonymous(byteCount: 1 << 20)
            let window = try HostMemory.window(byteCount: 1 << 20)
            let pool = try BouncePool(
                window: window, at: GuestAddress(base),
                privateMemory: MemoryMap(memory, at: GuestAddress(0)))
            var mapper = try pool.makeMapper()
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(window, at: GuestAddress(base)))
            var failureCount = 0
            func cycle(_ number: Int) throws {
                let buffer = GuestRange(UInt64(number % 16) * 16384, 16384)
                let isRead = number & 1 == 0
                let mapping = try mapper.map(buffer, isRead ? .fromDevice : .toDevice)
                let isTaken = engine.enqueue(
                    isRead ? .read : .write, sector: UInt64(number % 16) * 32,
                    payload: mapping.deviceRange, tag: 5)
                if !isTaken { failureCount += 1 }
                try engine.submitAndWait()
                let end = engine.nextCompletion()
                if end?.status != .ok { failureCount += 1 }
                mapper.unmap(mapping, usedByteCount: end?.writtenByteCount ?? 0)
            }
            for number in 0..<100 { try cycle(number) }
            let before = allocation_counter_read()
            for number in 0..<Self.cycleCount { try cycle(number) }
            let count = allocation_counter_read() - before
            #expect(count == 0)
            #expect(failureCount == 0)
            // What was read came through the window into private memory.
            let file = try readFile(path, byteCount: 16384)
            #expect(firstDifference(memory.bytes(at: 0, byteCount: 16384), file) == nil)
        }
    }
}
