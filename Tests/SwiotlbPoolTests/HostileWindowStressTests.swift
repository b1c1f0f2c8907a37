import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// A device that scribbles over all of the window at all times: invariant 15 of swiotlb.md. The
/// races on the window's bytes are meant, so `scripts/sanitize` leaves these tests out for threads.
@Suite struct HostileWindowStressTests {
    /// The same calls on two pools, one with a hostile window: they must decide alike, down to the
    /// slot.
    @Test(arguments: [ScrubPolicy.never, .onFree, .onOwnerChange])
    func scribblingOverTheWindowNeverChangesTheAllocator(scrub: ScrubPolicy) throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2) { $0.scrub = scrub }
        let quiet = try PoolFixture(slotCount: 256, areaCount: 2) { $0.scrub = scrub }
        let watch = Stopwatch(.seconds(600))
        let seed = SeededGenerator().seed
        onThreads(2) { thread in
            if thread == 1 { return fixture.scribble(seed, until: watch) }
            do {
                var twins = try TwinPools(fixture, quiet, seed: seed)
                for step in 0..<scaled(6000) { try twins.step(step) }
                twins.endAll()
            } catch {
                Issue.record("\(error), seed \(seed)")
            }
            watch.stop()
        }
        #expect(fixture.usedSlotCount == 0 && quiet.usedSlotCount == 0, "seed \(seed)")
        #expect(fixture.pool.statistics == quiet.pool.statistics, "seed \(seed)")
        #expect(fixture.freeSlots == quiet.freeSlots, "seed \(seed)")
        #expect(fixture.freeSlots.allSatisfy { $0 }, "seed \(seed)")
    }

    /// Several threads on a hostile window: whatever arrives in a buffer, nothing else changes.
    @Test func bytesBesideABufferSurviveAHostileWindow() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        let watch = Stopwatch(.milliseconds(800))
        let seed = SeededGenerator().seed
        fixture.memory.fill(at: 0, byteCount: fixture.memory.byteCount, with: 0x77)
        onThreads(4) { thread in
            if thread == 3 { return fixture.scribble(seed, until: watch) }
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            do {
                var mapper = try fixture.pool.makeMapper()
                while !watch.isOver {
                    // In the middle of a stretch of its own, of which the rest stays as it is.
                    let start = thread << 18
                    let byteCount = 1 + generator.below(20_000)
                    let used = generator.below(byteCount + 1)
                    let buffer = fixture.buffer(start + 5000, byteCount)
                    guard case .success(let box) = mapper.attempt(buffer, .fromDevice) else {
                        continue
                    }
                    mapper.end(box, usedByteCount: generator.below(4) == 0 ? -1 : used)
                    let before = fixture.memory.bytes(at: start, byteCount: 5000)
                    let after = fixture.memory.bytes(at: start + 5000 + used, byteCount: 20_000)
                    if !before.isUniform(0x77) || !after.isUniform(0x77) {
                        Issue.record("bytes beside the buffer changed, seed \(seed)")
                    }
                    fixture.memory.fill(at: start + 5000, byteCount: byteCount, with: 0x77)
                }
            } catch {
                Issue.record("\(error), seed \(seed)")
            }
        }
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.freeSlots.allSatisfy { $0 })
    }
}

extension PoolFixture {
    /// Writes random bytes all over the window.
    fileprivate func scribble(_ seed: UInt64, until watch: Stopwatch) {
        var generator = SeededGenerator(seed: seed &+ 99)
        while !watch.isOver {
            let bytes = generator.bytes(1 + generator.below(4096))
            for _ in 0..<50 {
                window.store(bytes.span, at: generator.below(window.byteCount - bytes.count))
            }
        }
    }
}

/// Two pools that are to decide alike.
private struct TwinPools: ~Copyable {
    private let fixtures: [PoolFixture]
    private let seed: UInt64
    private var generator: SeededGenerator
    private var mapper: BounceMapper
    private var twin: BounceMapper
    private var live: [(MappingBox, MappingBox)] = []
    private var tokens: [(MappingToken, MappingToken)] = []

    init(_ fixture: PoolFixture, _ quiet: PoolFixture, seed: UInt64) throws {
        let mapper = try fixture.pool.makeMapper(area: 0)
        twin = try quiet.pool.makeMapper(area: 0)
        self.mapper = mapper
        fixtures = [fixture, quiet]
        self.seed = seed
        generator = SeededGenerator(seed: seed)
    }

    mutating func step(_ number: Int) throws {
        switch generator.below(20) {
        case 0..<10: map(number)
        case 10..<16 where !live.isEmpty:
            let (box, other) = live.remove(at: generator.below(live.count))
            // However much the device says it has used.
            let used = generator.below(3) == 0 ? Int.max : generator.below(40_000)
            mapper.end(box, usedByteCount: used)
            twin.end(other, usedByteCount: used)
        case 16 where !live.isEmpty:
            let (box, other) = live.remove(at: generator.below(live.count))
            tokens.append((mapper.park(box.take()), twin.park(other.take())))
            if tokens.last?.0.slot != tokens.last?.1.slot { fail("parked elsewhere", number) }
        case 17 where !tokens.isEmpty:
            let (token, other) = tokens.removeLast()
            live.append((MappingBox(try mapper.redeem(token)), MappingBox(try twin.redeem(other))))
        case 18 where !live.isEmpty:
            let (box, other) = live[generator.below(live.count)]
            let byteCount = generator.below(box.buffer.byteCount + 1)
            box.syncForCPU(&mapper, offset: 0, byteCount: byteCount)
            other.syncForCPU(&twin, offset: 0, byteCount: byteCount)
        case 19:
            // The ring is scribbled over at once, and freed.
            let places = fixtures.map { fixture in
                try? fixture.pool.allocateCoherent(byteCount: 3000).memoryOffset
            }
            if places[0] != places[1] { fail("a ring was placed elsewhere", number) }
        default: break
        }
    }

    private mutating func map(_ number: Int) {
        let buffer = fixtures[0].buffer(generator.below(1000), 1 + generator.below(30_000))
        let direction: DMADirection = [.toDevice, .fromDevice, .bidirectional][generator.below(3)]
        switch (mapper.attempt(buffer, direction), twin.attempt(buffer, direction)) {
        case (.success(let box), .success(let other)):
            if box.slots != other.slots || box.device != other.device {
                fail("placed elsewhere", number)
            }
            live.append((box, other))
        case (.failure(let reason), .failure(let other)):
            if reason != other { fail("\(reason), not \(other)", number) }
        default: fail("decided otherwise", number)
        }
    }

    private func fail(_ what: String, _ number: Int) {
        Issue.record("\(what), seed \(seed) step \(number)")
    }

    mutating func endAll() {
        for (token, other) in tokens {
            if let mapping = try? mapper.redeem(token) { mapper.unmap(mapping) }
            if let mapping = try? twin.redeem(other) { twin.unmap(mapping) }
        }
        for (box, other) in live {
            mapper.end(box)
            twin.end(other)
        }
    }
}
