import Glibc
import SharedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing
import Uring
import Virtqueue

@testable import BlockBackend

private let base: UInt64 = 0x10_0000

/// Engines of several threads on one storage, with requests that direct I/O does not take.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct SharedStorageTests {
    private static let byteCount = 1 << 20

    /// A thread's engine and its memory: 16 slots of 4096 bytes, and room for a shifted one.
    private struct Party: ~Copyable {
        let memory: HostMemory
        var engine: BlockEngine

        init(_ storage: BlockStorage) throws {
            let memory = try HostMemory.anonymous(byteCount: 1 << 17)
            engine = try BlockEngine(
                storage: storage, memoryMap: MemoryMap(memory, at: GuestAddress(base)))
            self.memory = memory
        }

        /// Enqueues a direct write of a block or a misaligned one of a sector, and hands it over.
        mutating func write(misaligned: Bool, sector: UInt64 = 0, tag: UInt64 = 0) throws {
            let isTaken = engine.enqueue(
                .write, sector: sector,
                payload: misaligned ? GuestRange(base + 1, 512) : GuestRange(base, 4096), tag: tag)
            #expect(isTaken)
            try engine.submitAndWait(minimumCompletionCount: 0)
        }

        /// Takes what has ended, without waiting.
        mutating func poll() throws -> [UInt64] {
            var tags: [UInt64] = []
            try engine.submitAndWait(minimumCompletionCount: 0)
            while let end = engine.nextCompletion() {
                #expect(end.status == .ok)
                tags.append(end.tag)
            }
            return tags
        }
    }

    @Test(
        "Requests of several engines do not undo each other, nor leave old bytes in the page cache",
        .enabled(if: Machine.canLoop, "no loop device is to be had"),
        arguments: [512, 4096], [1, 2] as [UInt64])
    func neighbours(sectorByteCount: Int, seed: UInt64) throws {
        try withLoopDevice(byteCount: Self.byteCount, sectorByteCount: sectorByteCount) { path in
            let storage = try BlockStorage(path: path)
            let model = try HostMemory.anonymous(byteCount: Self.byteCount)
            let initial = try readFile(path, byteCount: Self.byteCount)
            model.store(initial.span, at: 0)
            onThreads(3) { index in
                do {
                    try Self.work(index, of: 3, seed: seed, on: storage, model: model)
                } catch {
                    Issue.record("\(error)")
                }
            }
            #expect(storage.gate?.isQuiet == true)
            let file = try readFile(path, byteCount: Self.byteCount)
            let wanted = model.bytes(at: 0, byteCount: Self.byteCount)
            #expect(firstDifference(file, wanted) == nil, "seed \(seed)")
        }
    }

    /// Writes to units (a sector of the device, 512 bytes or 4096) that are this thread's own, among
    /// those of the other threads, and reads some back.
    ///
    /// The first thread writes directly only. The others write some units from an address that direct
    /// I/O does not take, and read from the page cache what is being written by somebody else.
    private static func work(
        _ index: Int, of count: Int, seed: UInt64, on storage: BlockStorage, model: HostMemory
    ) throws {
        var generator = SeededGenerator(seed: seed << 8 | UInt64(index))
        var party = try Party(storage)
        let unit = max(storage.alignment?.offset ?? 512, 512) / 512
        party.memory.store(randomBytes(1 << 17, seed: seed << 8 | UInt64(index)).span, at: 0)
        for round in 0..<300 {
            let start = Int.random(in: 0..<4, using: &generator)
            var sectors: [Int] = []
            for place in start..<start + 12 {
                let sector = (place * count + index) * unit
                sectors.append(sector)
                let offset =
                    Int.random(in: 0..<15, using: &generator) * 4096
                    + (index > 0 && Bool.random(using: &generator) ? 1 : 0)
                let isTaken = party.engine.enqueue(
                    .write, sector: UInt64(sector),
                    payload: GuestRange(base + UInt64(offset), unit * 512), tag: 0)
                #expect(isTaken)
                model.copy(
                    at: sector * 512, from: party.memory, at: offset, byteCount: unit * 512)
                guard index > 0 else { continue }
                // A sector of the unit before, which another thread has, and what is around it.
                let isTakenToo = party.engine.enqueue(
                    .read, sector: UInt64(max(sector - 1, 0)),
                    payload: GuestRange(base + 65536 + 1, 512), tag: 0)
                #expect(isTakenToo)
            }
            #expect(try party.engine.finishAll().allSatisfy { $0.status == .ok })
            guard round % 8 == 0 else { continue }
            for sector in sectors {
                let end = try party.engine.run(
                    .read, sector: UInt64(sector), payload: GuestRange(base + 65536 + 1, 512))
                #expect(end.status == .ok)
                let found = party.memory.bytes(at: 65536 + 1, byteCount: 512)
                if found == model.bytes(at: sector * 512, byteCount: 512) { continue }
                Issue.record("seed \(seed): sector \(sector) is not what was written")
                return
            }
        }
    }

    @Test(
        "An engine that waits for another engine's request is woken when that is over",
        .timeLimit(.minutes(1)), arguments: [true, false])
    func wakeUp(waiterIsMisaligned: Bool) throws {
        try Place.loopDirect.withStorage(byteCount: Self.byteCount) { storage, _ in
            // 0: the one that is waited for may begin; 1: the other may; 2: it waits; 3: it is over.
            let stage = Atomic(0)
            onThreads(2) { index in
                do {
                    var party = try Party(storage)
                    if index == 0 {
                        try party.write(misaligned: !waiterIsMisaligned)
                        // It may be over, but as long as nobody knows, it is under way.
                        usleep(20_000)
                        stage.store(1, ordering: .releasing)
                        while stage.load(ordering: .acquiring) < 2 { usleep(100) }
                        usleep(100_000)
                        #expect(stage.load(ordering: .acquiring) == 2)
                        #expect(try party.engine.finishAll().count == 1)
                    } else {
                        while stage.load(ordering: .acquiring) < 1 { usleep(100) }
                        try party.write(misaligned: waiterIsMisaligned, sector: 16)
                        let isIdle = party.engine.isIdle
                        #expect(!isIdle)
                        stage.store(2, ordering: .releasing)
                        #expect(try party.engine.finishAll().count == 1)
                        stage.store(3, ordering: .releasing)
                    }
                } catch {
                    Issue.record("\(error)")
                }
            }
            #expect(stage.load(ordering: .acquiring) == 3)
            #expect(storage.gate?.isQuiet == true)
        }
    }

    @Test("Waiting for many completions does not keep from the waiting what they wait for")
    func waitingForMany() throws {
        try Place.loopDirect.withStorage(byteCount: Self.byteCount) { storage, _ in
            var party = try Party(storage)
            try party.write(misaligned: false, tag: 1)
            try party.write(misaligned: true, tag: 2)
            var tags: [UInt64] = []
            while !party.engine.isIdle {
                try party.engine.submitAndWait(minimumCompletionCount: 100)
                while let end = party.engine.nextCompletion() { tags.append(end.tag) }
            }
            #expect(tags == [1, 2])
        }
    }

    @Test("What waits in a destroyed engine does not run, nor holds up others")
    func destroyedWaiting() throws {
        try Place.loopDirect.withStorage(byteCount: Self.byteCount) { storage, path in
            let before = try readFile(path, byteCount: 8192)
            var first = try Party(storage)
            try first.write(misaligned: false, sector: 16, tag: 1)
            var third = try Party(storage)
            do {
                var second = try Party(storage)
                try second.write(misaligned: true)
                try third.write(misaligned: false, sector: 32, tag: 3)
                let isWaiting = third.engine.isWaitingAtGate
                #expect(isWaiting)
            }
            #expect(try third.engine.finishAll().map(\.tag) == [3])
            #expect(try first.engine.finishAll().map(\.tag) == [1])
            #expect(storage.gate?.isQuiet == true)
            #expect(firstDifference(try readFile(path, byteCount: 8192), before) == nil)
        }
    }

    @Test("An engine destroyed in its turn gives it to the next")
    func destroyedInItsTurn() throws {
        try Place.loopDirect.withStorage(byteCount: Self.byteCount) { storage, _ in
            var first = try Party(storage)
            try first.write(misaligned: false, tag: 1)
            do {
                var second = try Party(storage)
                try second.write(misaligned: true, sector: 16)
                // Its turn begins here, and it does not learn of it.
                #expect(try first.engine.finishAll().map(\.tag) == [1])
                try first.write(misaligned: false, tag: 2)
                let isWaiting = first.engine.isWaitingAtGate
                #expect(isWaiting)
            }
            #expect(try first.engine.finishAll().map(\.tag) == [2])
            #expect(storage.gate?.isQuiet == true)
        }
    }

    @Test("A destroyed engine's requests are over before others pass")
    func destroyedUnderWay() throws {
        try Place.loopDirect.withStorage(byteCount: Self.byteCount) { storage, path in
            var second = try Party(storage)
            do {
                var first = try Party(storage)
                first.memory.fill(at: 0, byteCount: 4096, with: 0x11)
                second.memory.fill(at: 0, byteCount: 4096, with: 0x22)
                for _ in 0..<8 { try first.write(misaligned: false) }
                try second.write(misaligned: true, sector: 1)
                let isWaiting = second.engine.isWaitingAtGate
                #expect(isWaiting)
            }
            #expect(try second.engine.finishAll().count == 1)
            #expect(try second.engine.run(.flush).status == .ok)
            #expect(storage.gate?.isQuiet == true)
            let file = try readFile(path, byteCount: 4096)
            let wanted =
                [UInt8](repeating: 0x11, count: 512) + [UInt8](repeating: 0x22, count: 512)
                + [UInt8](repeating: 0x11, count: 3072)
            #expect(firstDifference(file, wanted) == nil)
        }
    }

    @Test("Where all is aligned, and once nobody waits, the ring has requests only")
    func nothingArmed() throws {
        try Place.loopDirect.withStorage(byteCount: Self.byteCount) { storage, _ in
            var first = try Party(storage)
            var second = try Party(storage)
            for sector in 0..<4 as Range<UInt64> {
                try first.write(misaligned: false, sector: sector * 8, tag: sector)
                try second.write(misaligned: false, sector: 64 + sector * 8, tag: sector)
            }
            let reads = [first.engine.isReadingGateEvent, second.engine.isReadingGateEvent]
            #expect(reads == [false, false])
            let operations = first.engine.ring.outstandingCount
            #expect(operations == 4)
            _ = try first.engine.finishAll()
            try second.write(misaligned: true, sector: 128, tag: 9)
            let isReading = second.engine.isReadingGateEvent
            #expect(isReading)
            #expect(try second.engine.finishAll().count == 5)
            // It let itself pass: the read outlasts that, and nobody waits for it.
            let isIdle = second.engine.isIdle
            #expect(isIdle)
            try second.engine.submitAndWait(minimumCompletionCount: 5)
            #expect(try second.poll() == [])
            #expect(try second.engine.run(.flush).status == .ok)
            // The next time it waits, the same read wakes it.
            try first.write(misaligned: false, tag: 1)
            try second.write(misaligned: true, sector: 128, tag: 2)
            #expect(try first.engine.finishAll().map(\.tag) == [1])
            #expect(try second.engine.finishAll().map(\.tag) == [2])
            let hasRead = second.engine.isReadingGateEvent
            #expect(!hasRead)
        }
    }
}
