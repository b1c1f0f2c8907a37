import BasicContainers
import Glibc
import SharedMemory
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

/// A live mapping of a stress test, and what its bytes must be: whoever has it can end it.
struct StressTicket: ~Copyable {
    var mapping: DMAMapping
    let payload: StressPayload
}

/// Where a payload is in private memory, and what it is: one value throughout, so that a byte of
/// another mapping stands out.
struct StressPayload {
    /// The chunk of private memory that the buffers lie in.
    let chunk: Int
    let byteCount: Int
    /// What the driver wrote.
    let value: UInt8
    /// What the device writes.
    let answer: UInt8
}

/// What the threads of a stress test share: chunks of memory, mappings and tokens that they hand to
/// each other, and counts.
final class StressBoard: Sendable {
    static let chunkByteCount = 66_000
    static let chunkCount = 160
    static let memoryByteCount = chunkByteCount * chunkCount

    let fixture: PoolFixture
    let seed: UInt64
    let tickets = Mutex(UniqueArray<StressTicket>())
    let tokens = Mutex<[(MappingToken, StressPayload)]>([])
    let quarantined = Mutex<[(MappingToken, StressPayload)]>([])
    /// Rounds of each worker, by thread.
    let rounds = Mutex<[Int: Int]>([:])
    let extentChanges = Mutex(0)
    /// The reservations that each worker has left.
    let pending = Mutex<[StressReservations]>([])
    private let freeChunks = Mutex(Array(0..<StressBoard.chunkCount))

    init(_ fixture: PoolFixture, seed: UInt64) {
        self.fixture = fixture
        self.seed = seed
    }

    func takeChunk() -> Int? { freeChunks.withLock { $0.popLast() } }
    func giveChunk(_ chunk: Int) { freeChunks.withLock { $0.append(chunk) } }

    func fail(_ what: String) {
        Issue.record("\(what), seed \(seed)")
    }

    /// Checks what the device sees, answers as the device, unmaps, and checks what the driver sees.
    func finish(
        _ ticket: consuming StressTicket, _ mapper: inout BounceMapper,
        _ generator: inout SeededGenerator
    ) {
        let payload = ticket.payload
        let device = ticket.mapping.deviceRange
        let direction = ticket.mapping.direction
        if direction != .fromDevice, !fixture.deviceBytes(device).isUniform(payload.value) {
            fail("the payload of a live mapping was written over")
        }
        // Of a list, the used part is not at the start of the chunk.
        let used =
            ticket.mapping.isList ? payload.byteCount : generator.below(payload.byteCount + 1)
        if direction != .toDevice {
            fixture.deviceFill(device, byteCount: used, with: payload.answer)
        }
        let report = generator.below(8) == 0 && used == payload.byteCount ? Int.max : used
        mapper.unmap(ticket.mapping, usedByteCount: report)
        let start = payload.chunk * Self.chunkByteCount
        let memory = fixture.memory
        let written = direction == .toDevice ? 0 : used
        if !memory.bytes(at: start, byteCount: written).isUniform(payload.answer) {
            fail("what the device wrote did not arrive")
        }
        let rest = memory.bytes(at: start + written, byteCount: payload.byteCount - written)
        if !rest.isUniform(payload.value) { fail("what the device did not write has changed") }
        giveChunk(payload.chunk)
    }

    /// Adds extents, and drains them, the first one like any other.
    func changeExtents(until watch: Stopwatch) {
        var generator = SeededGenerator(seed: seed &+ 1000)
        var changeCount = 0
        while !watch.isOver {
            let present = (0..<3).filter { fixture.pool.memory(ofExtent: $0) != nil }
            if present.count < 3, present.count < 2 || generator.below(2) == 0 {
                guard let memory = try? HostMemory.anonymous(byteCount: fixture.window.byteCount)
                else { return watch.stop() }
                if (try? fixture.pool.addExtent(memory)) != nil { changeCount += 1 }
            } else {
                let index = present[generator.below(present.count)]
                for _ in 0..<generator.below(100) {
                    guard let left = try? fixture.pool.drain(extent: index) else { break }
                    if left == 0 { changeCount += 1 }
                    usleep(50)
                }
                // Takes back what did not come to its end.
                try? fixture.pool.cancelDrain(extent: index)
            }
            usleep(UInt32(generator.below(2000)))
        }
        extentChanges.withLock { $0 = changeCount }
    }

    /// Ends reservations by their deadlines, and reads what there is to read.
    func watchTheClock(until watch: Stopwatch) {
        let pool = fixture.pool
        while !watch.isOver {
            pool.expireReservations()
            pool.tick()
            if pool.statistics.usedSlotCount < 0 { fail("fewer than no slots are used") }
            for mapping in pool.leakReport() where mapping.slotCount < 1 {
                fail("a mapping without slots")
            }
            pool.resetHighWaterMarks()
            usleep(100)
        }
    }

    /// Ends one of the mappings that threads have handed over, in whatever form.
    ///
    /// - Returns: false where there is none.
    func endOne(_ mapper: inout BounceMapper, _ generator: inout SeededGenerator) -> Bool {
        let place = generator.below(1 << 20)
        var taken: StressTicket? = tickets.withLock { list in
            list.isEmpty ? nil : list.remove(at: place % list.count)
        }
        if let ticket = taken.take() {
            finish(ticket, &mapper, &generator)
            return true
        }
        if let (token, payload) = tokens.withLock({ $0.popLast() }) {
            guard let mapping = redeem(token, mapper) else { return true }
            finish(StressTicket(mapping: mapping, payload: payload), &mapper, &generator)
            return true
        }
        return endQuarantine(&mapper)
    }

    private func redeem(
        _ token: MappingToken, _ mapper: borrowing BounceMapper
    ) -> DMAMapping? {
        do throws(TokenFault) {
            let mapping = try mapper.redeem(token)
            if token.isTaken(by: mapper) { fail("a token was redeemed twice") }
            return mapping
        } catch {
            fail("a token was refused: \(error)")
            return nil
        }
    }

    func endQuarantine(_ mapper: inout BounceMapper) -> Bool {
        guard let (token, payload) = quarantined.withLock({ $0.popLast() }) else { return false }
        do throws(TokenFault) {
            try mapper.release(quarantined: token)
        } catch {
            fail("a quarantine did not end: \(error)")
        }
        let bytes = fixture.memory.bytes(
            at: payload.chunk * Self.chunkByteCount, byteCount: payload.byteCount)
        if !bytes.isUniform(payload.value) { fail("a quarantined mapping changed its buffer") }
        giveChunk(payload.chunk)
        return true
    }

    /// Ends what the threads have left behind; whoever waits is served by that, without being told
    /// by anybody else.
    func clearUp(_ mapper: inout BounceMapper) {
        var generator = SeededGenerator(seed: seed)
        while endOne(&mapper, &generator) {}
        // Taken, not copied: a reservation that is dropped must be dropped everywhere.
        var left = pending.withLock { pending in
            defer { pending = [] }
            return pending
        }
        let end = ContinuousClock.now + .seconds(10)
        while left.contains(where: { !$0.reservations.isEmpty }) {
            for index in left.indices { left[index].drop(self) }
            if ContinuousClock.now > end { return fail("somebody waits for slots that are free") }
        }
        for reservations in left { reservations.mailbox.check(self) }
    }

    /// Nothing is lost.
    func check(_ owners: [PoolOwner]) throws {
        let pool = fixture.pool
        let statistics = pool.statistics
        let rounds = rounds.withLock { $0 }
        print(
            "rounds:", rounds.sorted { $0.key < $1.key }.map(\.value), "mapped:",
            statistics.mapCount, "refused:", statistics.refusalCount, "reserved:",
            statistics.grantedCount, "extents changed:", extentChanges.withLock { $0 },
            "longest wait:", statistics.longestWait)
        #expect(rounds.values.allSatisfy { $0 > 10 }, "seed \(seed)")
        #expect(freeChunks.withLock { $0.count } == Self.chunkCount, "seed \(seed)")
        #expect(statistics.mapCount == statistics.unmapCount, "seed \(seed)")
        #expect(statistics.usedSlotCount == 0 && statistics.waiterCount == 0, "seed \(seed)")
        #expect(statistics.quarantinedSlotCount == 0 && statistics.coherentSlotCount == 0)
        #expect(pool.leakReport().isEmpty, "seed \(seed)")
        let isFree = fixture.freeSlots
        for extent in 0..<3 {
            let slots = pool.layout.slots(ofExtent: extent)
            let isPresent = pool.memory(ofExtent: extent) != nil
            #expect(isFree[slots].allSatisfy { $0 == isPresent }, "seed \(seed)")
        }
        for owner in owners {
            let used = pool.statistics(of: owner).usedSlotCount
            #expect(used == 0, "seed \(seed)")
            guard let quota = owner.quotaSlotCount else { continue }
            // All of the quota is there.
            var mapper = try pool.makeMapper(owner: owner)
            let boxes = try (0..<quota / 32).map { _ in
                try mapper.box(fixture.buffer(0, 32 * slotByteCount))
            }
            for box in boxes { mapper.end(box) }
        }
    }
}

extension MappingToken {
    /// Whether a mapper takes the token for a mapping's; it must not.
    fileprivate func isTaken(by mapper: borrowing BounceMapper) -> Bool {
        guard let mapping = try? mapper.redeem(self) else { return false }
        mapping.end()
        return true
    }
}
