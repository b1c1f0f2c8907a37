import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import BlockBackend

private let base: UInt64 = 0x10_0000
private let storageByteCount = 4 << 20
private let storageSectorCount = UInt64(storageByteCount / 512)

@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockEngineEnqueueTests {
    private func withEngine(
        _ setting: Setting, readOnly: Bool = false, segmentCountMax: Int = 128,
        _ body: (inout BlockEngine, HostMemory, FilePath) throws -> Void
    ) throws {
        try setting.place.withStorage(byteCount: storageByteCount, readOnly: readOnly) {
            storage, path in
            // Two regions, adjacent for the guest; 64 KiB of the memory between them in no region.
            let memory = try HostMemory.anonymous(byteCount: 2 << 20)
            let border = 1 << 20
            let map = try MemoryMap([
                .init(guestAddress: GuestAddress(base), memory: memory, byteCount: border),
                .init(
                    guestAddress: GuestAddress(base + UInt64(border)), memory: memory,
                    memoryOffset: border + 65536),
            ])
            var configuration = setting.configuration
            configuration.segmentCountMax = segmentCountMax
            var engine = try BlockEngine(
                storage: storage, memoryMap: map, configuration: configuration)
            try body(&engine, memory, path)
        }
    }

    @Test(
        "Lists that touch, scatter or cross regions are transferred in order",
        arguments: Setting.all)
    func lists(setting: Setting) throws {
        try withEngine(setting) { engine, memory, path in
            memory.store(randomBytes(2 << 20, seed: 5).span, at: 0)
            var model = try readFile(path, byteCount: storageByteCount)
            let border = base + (1 << 20)
            let lists: [[GuestRange]] = [
                [GuestRange(base, 4096), GuestRange(base + 4096, 8192)],
                [GuestRange(base + 8192, 4096), GuestRange(base, 4096)],
                [GuestRange(base + 512, 512), GuestRange(base + 8192, 3584)],
                [GuestRange(base + 1, 100), GuestRange(base + 300, 412)],
                [GuestRange(base, 0), GuestRange(base + 4096, 4096), GuestRange(base, 0)],
                [GuestRange(border - 4096, 8192)],
                [GuestRange(border - 100, 512), GuestRange(base, 512)],
                [GuestRange(border + 4096, 4096), GuestRange(base, 65536)],
                (0..<128).map { GuestRange(base + UInt64($0) * 8192, 4096) },
            ]
            let whole = engine.memoryMap
            let copy = try HostMemory.anonymous(byteCount: 1 << 20)
            for (index, list) in lists.enumerated() {
                let sector = UInt64(index) * 16 + (index % 2 == 0 ? 0 : 1)
                let count = list.reduce(0) { $0 + $1.byteCount }
                var wanted: [UInt8] = []
                for range in list {
                    // SAFETY: `copy` outlives the call.
                    let isCopied = unsafe whole.copy(range, into: copy.hostRange)
                    #expect(isCopied)
                    wanted += copy.bytes(at: 0, byteCount: range.byteCount)
                }
                #expect(try engine.run(.write, sector: sector, list: list).status == .ok)
                model.replaceSubrange(Int(sector) * 512..<Int(sector) * 512 + count, with: wanted)
                let written = try readFile(path, byteCount: storageByteCount)
                #expect(firstDifference(written, model) == nil, "list \(index)")

                for range in list where range.byteCount > 0 {
                    copy.fill(at: 0, byteCount: range.byteCount, with: 0)
                    // SAFETY: as above.
                    let isCopied = unsafe whole.copy(from: copy.hostRange, to: range)
                    #expect(isCopied)
                }
                let end = try engine.run(.read, sector: sector, list: list)
                #expect(end.status == .ok)
                #expect(end.writtenByteCount == count)
                var read: [UInt8] = []
                for range in list {
                    _ = unsafe whole.copy(range, into: copy.hostRange)
                    read += copy.bytes(at: 0, byteCount: range.byteCount)
                }
                #expect(firstDifference(read, wanted) == nil, "list \(index)")
            }
        }
    }

    @Test("A list longer than configured is refused, unless its ranges touch")
    func longLists() throws {
        let setting = Setting(place: .tmpfsBuffered, registersMemory: true)
        try withEngine(setting, segmentCountMax: 4) { engine, _, _ in
            func list(_ count: Int, stride: UInt64) -> [GuestRange] {
                (0..<count).map { GuestRange(base + UInt64($0) * stride, 512) }
            }
            #expect(try engine.run(.read, sector: 0, list: list(4, stride: 1024)).status == .ok)
            let long = try engine.run(.read, sector: 0, list: list(5, stride: 1024))
            #expect(long.status == .ioError)
            #expect(long.errno == nil)
            #expect(long.writtenByteCount == 0)
            #expect(try engine.run(.read, sector: 0, list: list(100, stride: 512)).status == .ok)
            // Three ranges that become five at the region's border are too many, too.
            let crossing =
                list(3, stride: 1024) + [GuestRange(base + (1 << 20) - 256, 512)]
            #expect(try engine.run(.read, sector: 0, list: crossing).status == .ioError)
            #expect(try engine.run(.read, sector: 0, list: list(4, stride: 2048)).status == .ok)
        }
    }

    @Test(
        "Payloads of no bytes end well, and nothing is transferred",
        arguments: [BlockOperation.read, .write])
    func emptyPayload(operation: BlockOperation) throws {
        try withEngine(Setting(place: .diskDirect, registersMemory: true)) { engine, _, _ in
            let ends = [
                try engine.run(operation, sector: 0, payload: GuestRange(base, 0)),
                try engine.run(operation, sector: 0, list: []),
                try engine.run(operation, sector: 3),
            ]
            #expect(ends.map(\.status) == [.ok, .ok, .ok])
            #expect(ends.allSatisfy { $0.writtenByteCount == 0 })
        }
    }

    @Test(
        "Requests that are wrong are refused with a status, and the engine goes on",
        arguments: Setting.files)
    func refused(setting: Setting) throws {
        try withEngine(setting) { engine, memory, path in
            memory.fill(at: 0, byteCount: memory.byteCount, with: 0xAA)
            let before = try readFile(path, byteCount: storageByteCount)
            let last = storageSectorCount - 1
            let wrong: [(sector: UInt64, payload: GuestRange)] = [
                // Past the end, and beyond what numbers can say.
                (storageSectorCount, GuestRange(base, 512)),
                (last, GuestRange(base, 1024)),
                (0, GuestRange(base, storageByteCount)),
                (.max, GuestRange(base, 512)),
                (.max / 512, GuestRange(base, 512)),
                (.max / 512 + 1, GuestRange(base, 512)),
                (1 << 55, GuestRange(base, 4096)),
                // No whole sectors.
                (0, GuestRange(base, 100)),
                (0, GuestRange(base, 513)),
                (0, GuestRange(base, 1)),
                // Outside the memory map, or partly.
                (0, GuestRange(0, 512)),
                (0, GuestRange(base - 512, 1024)),
                (0, GuestRange(base + (2 << 20) - 65536, 512)),
                (0, GuestRange(base + (2 << 20) - 65536 - 512, 1024)),
                (0, GuestRange(.max, 512)),
                (0, GuestRange(.max - 511, 512)),
                (0, GuestRange(.max - 255, 4096)),
                (0, GuestRange(base, .max)),
                (0, GuestRange(.max - 511, .max)),
            ]
            for (index, request) in wrong.enumerated() {
                for operation in [BlockOperation.read, .write] {
                    let end = try engine.run(
                        operation, sector: request.sector, payload: request.payload)
                    #expect(end.status == .ioError, "request \(index)")
                    #expect(end.errno == nil, "request \(index)")
                    #expect(end.writtenByteCount == 0, "request \(index)")
                    let list = [GuestRange(base, 512), request.payload]
                    // A list with half a sector that another range does not make whole.
                    let listEnd = try engine.run(operation, sector: request.sector, list: list)
                    #expect(listEnd.status == .ioError, "request \(index) as a list")
                }
            }
            #expect(firstDifference(try readFile(path, byteCount: storageByteCount), before) == nil)
            let untouched = [UInt8](repeating: 0xAA, count: memory.byteCount)
            #expect(memory.bytes(at: 0, byteCount: memory.byteCount) == untouched)
            // The last sector is still inside.
            let end = try engine.run(.read, sector: last, payload: GuestRange(base, 512))
            #expect(end.status == .ok)
            #expect(memory.bytes(at: 0, byteCount: 512) == Array(before.suffix(512)))
        }
    }

    @Test(
        "Counts of sectors past the end are refused, for discard and zeroes",
        arguments: Setting.files)
    func refusedCounts(setting: Setting) throws {
        try withEngine(setting) { engine, _, path in
            let before = try readFile(path, byteCount: storageByteCount)
            let wrong: [(sector: UInt64, count: UInt64)] = [
                (0, storageSectorCount + 1), (0, .max), (1, storageSectorCount),
                (storageSectorCount, 1), (.max, 1), (.max, .max), (0, 1 << 55),
                (1, .max / 512 + 1),
            ]
            for (sector, count) in wrong {
                for operation in [
                    BlockOperation.discard(sectorCount: count),
                    .writeZeroes(sectorCount: count, mayUnmap: true),
                    .writeZeroes(sectorCount: count, mayUnmap: false),
                ] {
                    let end = try engine.run(operation, sector: sector)
                    #expect(end.status == .ioError, "\(operation) at \(sector)")
                    #expect(end.errno == nil)
                }
            }
            #expect(try engine.run(.discard(sectorCount: 0), sector: 5).status == .ok)
            #expect(
                try engine.run(.writeZeroes(sectorCount: 0, mayUnmap: false), sector: 5).status
                    == .ok)
            #expect(firstDifference(try readFile(path, byteCount: storageByteCount), before) == nil)
        }
    }

    @Test("A flush succeeds wherever it points", arguments: Setting.all)
    func flush(setting: Setting) throws {
        try withEngine(setting) { engine, _, _ in
            for sector in [0, 1, UInt64.max] {
                let end = try engine.run(.flush, sector: sector)
                #expect(end.status == .ok)
            }
        }
    }

    @Test(
        "Storage opened to be read takes reads and flushes, and refuses every change",
        arguments: [Place.diskDirect, .diskBuffered])
    func readOnly(place: Place) throws {
        let setting = Setting(place: place, registersMemory: true)
        try withEngine(setting, readOnly: true) { engine, memory, path in
            let before = try readFile(path, byteCount: storageByteCount)
            let write = try engine.run(.write, sector: 0, payload: GuestRange(base, 512))
            #expect(write.status == .ioError)
            #expect(write.errno == nil)
            #expect(try engine.run(.discard(sectorCount: 8)).status == .ioError)
            for mayUnmap in [true, false] {
                let zeroes = BlockOperation.writeZeroes(sectorCount: 8, mayUnmap: mayUnmap)
                #expect(try engine.run(zeroes).status == .ioError)
            }
            #expect(try engine.run(.flush).status == .ok)
            #expect(try engine.run(.read, sector: 1, payload: GuestRange(base, 512)).status == .ok)
            #expect(memory.bytes(at: 0, byteCount: 512) == Array(before[512..<1024]))
            #expect(firstDifference(try readFile(path, byteCount: storageByteCount), before) == nil)
        }
    }

    @Test("Zeroes are read where they were asked for, and nowhere else", arguments: Setting.all)
    func writeZeroes(setting: Setting) throws {
        try withEngine(setting) { engine, _, path in
            var model = try readFile(path, byteCount: storageByteCount)
            let cases: [(sector: Int, count: Int)] = [
                (8, 8), (33, 1), (50, 13), (128, 64), (1024, 4099), (8191, 1),
            ]
            for (index, (sector, count)) in cases.enumerated() {
                let end = try engine.run(
                    .writeZeroes(sectorCount: UInt64(count), mayUnmap: index % 2 == 0),
                    sector: UInt64(sector))
                #expect(end.status == .ok, "\(count) at \(sector)")
                let bytes = sector * 512..<(sector + count) * 512
                model.replaceSubrange(bytes, with: repeatElement(0, count: bytes.count))
                let file = try readFile(path, byteCount: storageByteCount)
                #expect(firstDifference(file, model) == nil, "\(count) at \(sector)")
                // And the other way about, over what is zero already.
                let again = try engine.run(
                    .writeZeroes(sectorCount: UInt64(count), mayUnmap: index % 2 != 0),
                    sector: UInt64(sector))
                #expect(again.status == .ok, "\(count) at \(sector)")
            }
            #expect(firstDifference(try readFile(path, byteCount: storageByteCount), model) == nil)
        }
    }

    @Test("A discard changes nothing beside its range, and not the size", arguments: Setting.all)
    func discard(setting: Setting) throws {
        try withEngine(setting) { engine, _, path in
            let before = try readFile(path, byteCount: storageByteCount)
            let cases: [(sector: Int, count: Int, isAligned: Bool)] = [
                (8, 8, true), (65, 3, false), (4096, 4096, true),
            ]
            var expected = before
            for (sector, count, isAligned) in cases {
                let end = try engine.run(
                    .discard(sectorCount: UInt64(count)), sector: UInt64(sector))
                if isAligned { #expect(end.status == .ok) }
                #expect(end.status == .ok || end.status == .unsupported)
                let file = try readFile(path, byteCount: storageByteCount)
                let bytes = sector * 512..<(sector + count) * 512
                expected.replaceSubrange(bytes, with: file[bytes])
                #expect(firstDifference(file, expected) == nil)
            }
        }
    }

    @Test("A payload given with a request that has none does no harm")
    func uselessPayload() async throws {
        await #expect(processExitsWith: .success) {
            try Place.tmpfsBuffered.withStorage(byteCount: 4 << 20) { storage, path in
                // Now: a process that dies removes nothing.
                try run("rm", "-r", path.removingLastComponent().string)
                let memory = try HostMemory.anonymous(byteCount: 4096)
                var engine = try BlockEngine(
                    storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(0)))
                let zeroes = BlockOperation.writeZeroes(sectorCount: 4096, mayUnmap: false)
                _ = try engine.run(zeroes, sector: 0, payload: GuestRange(0, 512))
            }
        }
    }
}
