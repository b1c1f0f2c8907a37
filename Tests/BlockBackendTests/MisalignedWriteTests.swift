import SharedMemory
import SystemPackage
import TestSupport
import Testing
import Uring
import Virtqueue

@testable import BlockBackend

private let base: UInt64 = 0x10_0000

/// Requests of single sectors on a device whose blocks are 4096 bytes.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct MisalignedWriteTests {
    private func withEngine(
        _ body: (inout BlockEngine, HostMemory, FilePath) throws -> Void
    ) throws {
        try Place.loopDirect.withStorage(byteCount: 1 << 20) { storage, path in
            let memory = try HostMemory.anonymous(byteCount: 2 << 20)
            memory.store(randomBytes(2 << 20, seed: 3).span, at: 0)
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)))
            try body(&engine, memory, path)
        }
    }

    @Test("Each of the eight sectors of a block can be written and read alone")
    func singleSectors() throws {
        try withEngine { engine, memory, path in
            var model = try readFile(path, byteCount: 1 << 20)
            for (block, offset) in [(0, 0), (5, 4), (9, 1), (255, 512)] {
                for sector in block * 8..<block * 8 + 8 {
                    let place = offset + sector % 8 * 1024
                    let payload = GuestRange(base + UInt64(place), 512)
                    let write = try engine.run(.write, sector: UInt64(sector), payload: payload)
                    #expect(write.status == .ok)
                    let bytes = memory.bytes(at: place, byteCount: 512)
                    model.replaceSubrange(sector * 512..<sector * 512 + 512, with: bytes)
                    let target = GuestRange(base + (1 << 20) + 3, 512)
                    let read = try engine.run(.read, sector: UInt64(sector), payload: target)
                    #expect(read.status == .ok)
                    #expect(read.writtenByteCount == 512)
                    #expect(memory.bytes(at: (1 << 20) + 3, byteCount: 512) == bytes)
                }
            }
            #expect(try engine.run(.flush).status == .ok)
            #expect(firstDifference(try readFile(path, byteCount: 1 << 20), model) == nil)
        }
    }

    @Test(
        "Sector writes and whole-block writes at once do not undo each other",
        arguments: [1, 2, 3, 4] as [UInt64])
    func mixed(seed: UInt64) throws {
        try withEngine { engine, memory, path in
            var generator = SeededGenerator(seed: seed)
            var model = try readFile(path, byteCount: 1 << 20)
            for _ in 0..<60 {
                var order: [(sector: Int, count: Int, offset: Int)] = []
                // 8 neighbouring blocks: some written whole, some sector by sector, one from a
                // misaligned address, one as a block and a half.
                let first = Int.random(in: 0..<240, using: &generator) * 8
                var sector = first
                while sector < first + 64 {
                    let left = first + 64 - sector
                    let count = min([1, 1, 8, 8, 3, 12].randomElement(using: &generator)!, left)
                    let aligned = Int.random(in: 0..<200, using: &generator) * 4096
                    let shift = [0, 0, 512, 4, 1].randomElement(using: &generator)!
                    order.append((sector, count, aligned + shift))
                    sector += count
                }
                order.shuffle(using: &generator)
                for (index, write) in order.enumerated() {
                    let isTaken = engine.enqueue(
                        .write, sector: UInt64(write.sector),
                        payload: GuestRange(base + UInt64(write.offset), write.count * 512),
                        tag: UInt64(index))
                    #expect(isTaken)
                    model.replaceSubrange(
                        write.sector * 512..<(write.sector + write.count) * 512,
                        with: memory.bytes(at: write.offset, byteCount: write.count * 512))
                }
                let ends = try engine.finishAll()
                #expect(ends.map(\.tag).sorted() == order.indices.map { UInt64($0) })
                #expect(ends.allSatisfy { $0.status == .ok })
            }
            #expect(try engine.run(.flush).status == .ok)
            let file = try readFile(path, byteCount: 1 << 20)
            #expect(firstDifference(file, model) == nil, "seed \(seed)")
        }
    }

    @Test(
        "Misaligned and direct writes are kept apart, whichever comes first",
        arguments: [true, false])
    func throughTheGate(directFirst: Bool) throws {
        try withEngine { engine, _, _ in
            let sectors: [(UInt64, Int)] =
                directFirst ? [(0, 4096), (8, 512), (16, 4096)] : [(8, 512), (0, 4096), (9, 512)]
            for (tag, (sector, count)) in sectors.enumerated() {
                let isTaken = engine.enqueue(
                    .write, sector: sector, payload: GuestRange(base, count), tag: UInt64(tag))
                #expect(isTaken)
            }
            // One in the ring, two at the gate.
            let count = engine.ring.outstandingCount
            #expect(count == 1)
            let ends = try engine.finishAll()
            #expect(ends.map(\.tag) == [0, 1, 2])
        }
    }

    @Test("A discard of parts of blocks is a hint for the whole blocks inside")
    func misalignedDiscard() throws {
        try withEngine { engine, memory, path in
            let before = try readFile(path, byteCount: 16384)
            // Sectors 1 to 20: all of block 1, parts of blocks 0 and 2.
            let status = try engine.run(.discard(sectorCount: 20), sector: 1)
            #expect(status.status == .ok)
            let none = try engine.run(.discard(sectorCount: 6), sector: 1)
            #expect(none.status == .ok)
            let after = try readFile(path, byteCount: 16384)
            #expect(firstDifference(Array(after[..<4096]), Array(before[..<4096])) == nil)
            #expect(firstDifference(Array(after[8192...]), Array(before[8192...])) == nil)
        }
    }

    @Test("A misaligned read beside a direct write leaves no old bytes in the page cache")
    func staleCache() throws {
        try withEngine { engine, memory, path in
            var staleCount = 0
            for round in 0..<400 {
                // A direct write of each other block, and a read from the page cache between.
                let first = UInt64(round % 4 * 64) * 8
                memory.store(randomBytes(65536, seed: UInt64(round)).span, at: 0)
                for index in 0..<16 as Range<UInt64> {
                    let write = engine.enqueue(
                        .write, sector: first + index * 16,
                        payload: GuestRange(base + index * 4096, 4096), tag: index)
                    let read = engine.enqueue(
                        .read, sector: first + index * 16 + 9,
                        payload: GuestRange(base + 131_072, 512), tag: 100 + index)
                    #expect(write && read)
                }
                _ = try engine.finishAll()
                for index in 0..<16 as Range<UInt64> {
                    let sector = first + index * 16 + 1
                    _ = try engine.run(
                        .read, sector: sector, payload: GuestRange(base + 262_144, 512))
                    let wanted = memory.bytes(at: Int(index) * 4096 + 512, byteCount: 512)
                    let found = memory.bytes(at: 262_144, byteCount: 512)
                    if found != wanted { staleCount += 1 }
                }
            }
            #expect(staleCount == 0)
        }
    }
}
