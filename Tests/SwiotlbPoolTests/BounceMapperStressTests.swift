import BasicContainers
import SharedMemory
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

/// Many threads at once (invariants 2, 7 and 15 of swiotlb.md).
@Suite struct BounceMapperStressTests {
    @Test func mappingsHandedBetweenThreadsKeepTheirBytesAndLeaveNothingBehind() throws {
        let fixture = try PoolFixture(slotCount: 300, areaCount: 2, memoryByteCount: 6 << 18)
        let handed = Mutex(UniqueArray<DMAMapping>())
        let seed = SeededGenerator().seed
        onThreads(6) { thread in
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            var mapper = fixture.pool.makeMapper()
            // Each thread maps from private memory of its own; the byte tells which mapping it is.
            for round in 0..<4000 {
                let count = 1 + generator.below(generator.below(8) == 0 ? 60_000 : 5000)
                let offset = thread << 18 | generator.below((1 << 18) - count)
                let value = UInt8(truncatingIfNeeded: round &* 7 &+ thread)
                fixture.memory.fill(at: offset, byteCount: count, with: value)
                do throws(MapRefusal) {
                    let mapping = try mapper.map(fixture.buffer(offset, count), .toDevice)
                    var given: DMAMapping? = consume mapping
                    var taken: DMAMapping? = handed.withLock { list in
                        list.append(given.take()!)
                        return list.count > 5 ? list.remove(at: list.count / 2) : nil
                    }
                    if taken != nil {
                        let other = taken.take()!
                        fixture.checkUniform(other.deviceRange, seed)
                        mapper.unmap(other)
                    }
                } catch {
                    if !error.isTemporary { Issue.record("\(error), seed \(seed)") }
                    var taken: DMAMapping? = handed.withLock { list in
                        list.isEmpty ? nil : list.removeLast()
                    }
                    if let other = taken.take() { mapper.unmap(other) }
                }
            }
        }
        var mapper = fixture.pool.makeMapper()
        var rest = 0
        repeat {
            var taken: DMAMapping? = handed.withLock { list in
                list.isEmpty ? nil : list.removeLast()
            }
            if let mapping = taken.take() { mapper.unmap(mapping) }
            rest = handed.withLock { $0.count }
        } while rest > 0
        let statistics = fixture.pool.statistics
        #expect(statistics.usedSlotCount == 0, "seed \(seed)")
        #expect(statistics.mapCount == statistics.unmapCount)
        #expect(statistics.mapCount > 1000)
        #expect(fixture.freeSlots == [.max, .max, (1 << 44) - 1])
    }

    @Test func scribblingOverTheWindowNeverChangesTheAllocator() throws {
        let fixture = try PoolFixture(slotCount: 200, areaCount: 2)
        let quiet = try PoolFixture(slotCount: 200, areaCount: 2)
        let stopFlag = Flag()
        let seed = SeededGenerator().seed
        onThreads(2) { thread in
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            if thread == 1 {
                while !stopFlag.isSet {
                    let bytes = generator.bytes(1 + generator.below(4096))
                    fixture.window.store(
                        bytes.span, at: generator.below(fixture.window.byteCount - bytes.count))
                }
                return
            }
            // The same calls on two pools, one with a hostile window: they must decide alike.
            var mapper = fixture.pool.makeMapper(area: 0)
            var twin = quiet.pool.makeMapper(area: 0)
            var live: [(MappingBox, MappingBox)] = []
            for step in 0..<10_000 {
                if generator.below(2) == 0 {
                    let buffer = fixture.buffer(
                        generator.below(1000), 1 + generator.below(30_000))
                    switch (mapper.attempt(buffer, .bidirectional), twin.attempt(buffer)) {
                    case (.success(let box), .success(let other)):
                        if box.slots != other.slots || box.device != other.device {
                            Issue.record("placed elsewhere, seed \(seed) step \(step)")
                        }
                        live.append((box, other))
                    case (.failure(let reason), .failure(let other)):
                        if reason != other { Issue.record("\(reason) seed \(seed) step \(step)") }
                    default: Issue.record("decided otherwise, seed \(seed) step \(step)")
                    }
                } else if !live.isEmpty {
                    let (box, other) = live.remove(at: generator.below(live.count))
                    mapper.end(box)
                    twin.end(other)
                }
            }
            for (box, other) in live {
                mapper.end(box)
                twin.end(other)
            }
            stopFlag.set()
        }
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.freeSlots == quiet.freeSlots)
        #expect(fixture.pool.statistics.refusalCount == quiet.pool.statistics.refusalCount)
    }
}

extension PoolFixture {
    /// Records an issue where the payload is not one byte value throughout.
    fileprivate func checkUniform(_ device: GuestRange, _ seed: UInt64) {
        let bytes = window.bytes(at: windowOffset(device), byteCount: device.byteCount)
        let model = ByteModel(byteCount: bytes.count)
        model.store([UInt8](repeating: bytes[0], count: bytes.count), at: 0)
        if model.matches(bytes) { return }
        Issue.record("the payload of a live mapping was written over, seed \(seed)")
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)

    // Relaxed: joining the threads orders everything else.
    var isSet: Bool { value.load(ordering: .relaxed) }

    func set() { value.store(true, ordering: .relaxed) }
}
