import Foundation
import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import BlockBackend

private let base: UInt64 = 0x10_0000

@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockEngineTests {
    @Test("What is read is what the file has", arguments: Setting.all)
    func reads(setting: Setting) throws {
        try setting.place.withStorage(byteCount: 4 << 20) { storage, path in
            let memory = try HostMemory.anonymous(byteCount: 2 << 20)
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)),
                configuration: setting.configuration)
            let fixed = engine.usesFixedBuffers
            #expect(fixed == setting.registersMemory)
            let file = try readFile(path, byteCount: 4 << 20)
            for (sector, count) in [(0, 4096), (8, 512), (3, 1024), (1001, 65536), (2048, 1 << 20)]
            {
                memory.fill(at: 0, byteCount: memory.byteCount, with: 0xAA)
                let end = try engine.run(
                    .read, sector: UInt64(sector), payload: GuestRange(base + 4096, count))
                #expect(end.status == .ok)
                #expect(end.writtenByteCount == count)
                #expect(end.errno == nil)
                let wanted = Array(file[sector * 512..<sector * 512 + count])
                #expect(firstDifference(memory.bytes(at: 4096, byteCount: count), wanted) == nil)
                #expect(memory.bytes(at: 4095, byteCount: 1) == [0xAA])
                #expect(memory.bytes(at: 4096 + count, byteCount: 1) == [0xAA])
            }
        }
    }

    @Test(
        "What is written is in the file, and its neighbours are as they were",
        arguments: Setting.all)
    func writes(setting: Setting) throws {
        try setting.place.withStorage(byteCount: 4 << 20) { storage, path in
            let memory = try HostMemory.anonymous(byteCount: 2 << 20)
            memory.store(randomBytes(2 << 20, seed: 9).span, at: 0)
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)),
                configuration: setting.configuration)
            var model = try readFile(path, byteCount: 4 << 20)
            let cases = [
                (0, 0, 4096), (9, 512, 512), (19, 4, 1024), (101, 3, 65536), (2048, 4096, 1 << 20),
            ]
            for (sector, offset, count) in cases {
                let end = try engine.run(
                    .write, sector: UInt64(sector),
                    payload: GuestRange(base + UInt64(offset), count))
                #expect(end.status == .ok)
                #expect(end.writtenByteCount == 0)
                model.replaceSubrange(
                    sector * 512..<sector * 512 + count,
                    with: memory.bytes(at: offset, byteCount: count))
            }
            #expect(try engine.run(.flush).status == .ok)
            #expect(firstDifference(try readFile(path, byteCount: 4 << 20), model) == nil)
        }
    }

    @Test("As many requests as there is room for are taken, and each completes once")
    func fullEngine() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            let memory = try HostMemory.anonymous(byteCount: 1 << 16)
            var configuration = BlockEngine.Configuration()
            configuration.requestCountMax = 6
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)),
                configuration: configuration)
            for round in 0..<3 as Range<UInt64> {
                for tag in 0..<6 as Range<UInt64> {
                    // Every third is refused, and takes its room all the same.
                    let isTaken = engine.enqueue(
                        .read, sector: tag % 3 == 2 ? .max : tag,
                        payload: GuestRange(base + tag * 512, 512), tag: round << 32 | tag)
                    #expect(isTaken)
                }
                let isFull = engine.isFull
                #expect(isFull)
                let refused = [
                    engine.enqueue(.flush, tag: 99),
                    engine.enqueue(.read, sector: 0, payload: GuestRange(base, 512), tag: 99),
                    engine.enqueue(
                        .read, sector: 0, payload: [GuestRange(base, 512)].span, tag: 99),
                ]
                #expect(refused == [false, false, false])
                let ends = try engine.finishAll()
                #expect(ends.map(\.tag).sorted() == (0..<6).map { round << 32 | $0 })
                for end in ends {
                    #expect(end.status == ((end.tag & 0xFF) % 3 == 2 ? .ioError : .ok))
                }
                let nothing = engine.nextCompletion() == nil
                #expect(nothing)
            }
        }
    }

    @Test("Waiting with nothing under way, or for more than is under way, returns")
    func waitingForNothing() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            let memory = try HostMemory.anonymous(byteCount: 4096)
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)))
            try engine.submitAndWait(minimumCompletionCount: 5)
            let isTaken = engine.enqueue(.flush, tag: 1)
            #expect(isTaken)
            try engine.submitAndWait(minimumCompletionCount: 1000)
            let end = engine.nextCompletion()
            #expect(end?.tag == 1)
            let isIdle = engine.isIdle
            #expect(isIdle)
        }
    }

    @Test(
        "A file cut short under the engine gives read errors, and what came is counted",
        arguments: Setting.files)
    func truncated(setting: Setting) throws {
        try setting.place.withStorage(byteCount: 1 << 20) { storage, path in
            let memory = try HostMemory.anonymous(byteCount: 1 << 16)
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)),
                configuration: setting.configuration)
            let file = try FileDescriptor.open(path, .readWrite)
            defer { try? file.close() }
            try file.resize(to: 8192)
            let beyond = try engine.run(.read, sector: 64, payload: GuestRange(base, 4096))
            #expect(beyond.status == .ioError)
            #expect(beyond.writtenByteCount == 0)
            let across = try engine.run(.read, sector: 8, payload: GuestRange(base, 8192))
            #expect(across.status == .ioError)
            #expect(across.writtenByteCount == 4096)
            try file.resize(to: 8192 + 100)
            let ragged = try engine.run(.read, sector: 16, payload: GuestRange(base, 4096))
            #expect(ragged.status == .ioError)
            let inside = try engine.run(.read, sector: 0, payload: GuestRange(base, 8192))
            #expect(inside.status == .ok)
        }
    }

    @Test(
        "A full disk fails the write with its reason, and the engine goes on",
        .enabled(if: Machine.canMount, "no tmpfs can be mounted here"), arguments: [true, false])
    func fullDisk(buffered: Bool) throws {
        try withTmpfs(byteCount: 1 << 20) { directory in
            let path = directory.appending("storage")
            let file = try FileDescriptor.open(
                path, .readWrite, options: .create, permissions: .ownerReadWrite)
            defer { try? file.close() }
            try file.resize(to: 16 << 20)
            if !buffered, !Machine.tmpfsHasDirectIO { try Test.cancel("no O_DIRECT on tmpfs") }
            let storage = try BlockStorage(path: path, options: buffered ? .buffered : [])
            let memory = try HostMemory.anonymous(byteCount: 4 << 20)
            memory.fill(at: 0, byteCount: 4 << 20, with: 7)
            var engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)))
            let end = try engine.run(.write, sector: 0, payload: GuestRange(base, 4 << 20))
            #expect(end.status == .ioError)
            #expect(end.errno == .noSpace)
            // The write was cut short before it failed: its start is there.
            let start = try engine.run(.read, sector: 0, payload: GuestRange(base + 8192, 4096))
            #expect(start.status == .ok)
            #expect(memory.bytes(at: 8192, byteCount: 4096) == [UInt8](repeating: 7, count: 4096))
            // Over what is there already a write still has room.
            let again = try engine.run(.write, sector: 0, payload: GuestRange(base, 4096))
            #expect(again.status == .ok)
            let zeroes = try engine.run(
                .writeZeroes(sectorCount: 16 << 11, mayUnmap: false), sector: 0)
            #expect(zeroes.status == .ioError)
            #expect(zeroes.errno == .noSpace)
            let discard = try engine.run(.discard(sectorCount: 16 << 11), sector: 0)
            #expect(discard.status == .ok)
            let room = try engine.run(.write, sector: 0, payload: GuestRange(base, 1 << 19))
            #expect(room.status == .ok)
        }
    }

    @Test(
        "Destroying an engine waits for what is under way, and lets go of its memory",
        arguments: Setting.all)
    func destroyed(setting: Setting) throws {
        try setting.place.withStorage(byteCount: 4 << 20) { storage, path in
            weak var released: HostMemory?
            do {
                // The engine alone holds the memory.
                func makeEngine() throws -> BlockEngine {
                    let memory = try HostMemory.anonymous(byteCount: 4 << 20)
                    released = memory
                    memory.fill(at: 0, byteCount: 4 << 20, with: 0x5C)
                    return try BlockEngine(
                        storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)),
                        configuration: setting.configuration)
                }
                var engine = try makeEngine()
                #expect(released != nil)
                for index in 0..<64 as Range<UInt64> {
                    let isTaken = engine.enqueue(
                        .write, sector: index * 128,
                        payload: GuestRange(base + index * 65536, 65536), tag: index)
                    #expect(isTaken)
                    // The second half is never handed over by the caller.
                    if index == 31 { try engine.submitAndWait(minimumCompletionCount: 0) }
                }
                // These wait for the others at the gate where storage is direct, or are refused.
                _ = engine.enqueue(.write, sector: 1, payload: GuestRange(base, 512), tag: 64)
                _ = engine.enqueue(.read, sector: .max, payload: GuestRange(base, 512), tag: 65)
            }
            #expect(released == nil)
            let file = try readFile(path, byteCount: 4 << 20)
            let wanted = [UInt8](repeating: 0x5C, count: 4 << 20)
            #expect(firstDifference(file, wanted) == nil)
        }
    }

    @Test("Memory that cannot be registered is used without, and the reason is kept")
    func withoutRegistration() throws {
        try Place.diskDirect.withStorage(byteCount: 1 << 20) { storage, path in
            let memory = try HostMemory.anonymous(byteCount: 4096)
            let map = try MemoryMap(
                (0..<(1 << 14) + 1).map {
                    .init(guestAddress: GuestAddress(UInt64($0) * 4096), memory: memory)
                })
            var engine = try BlockEngine(storage: storage, memoryMap: map)
            let (fixed, refusal) = (engine.usesFixedBuffers, engine.registrationRefusal)
            #expect(!fixed)
            #expect(refusal != nil)
            #expect(try engine.run(.read, sector: 8, payload: GuestRange(0, 4096)).status == .ok)
            let file = try readFile(path, byteCount: 8192)
            #expect(memory.bytes(at: 0, byteCount: 4096) == Array(file[4096...]))
        }
    }
}
