import CPoolModels
import Synchronization
import TestSupport
import Testing

/// What must hold of both models, whatever they do inside.
@Suite struct PoolModelTests {
    enum Kind: String, CaseIterable {
        case twin, linux, linuxExact

        func make(slotCount: Int, threadCount: Int) throws -> any ModelUnderTest & Sendable {
            switch self {
            case .twin: try #require(Twin(slotCount: slotCount, threadCount: threadCount))
            case .linux: try #require(LinuxModel(slotCount: slotCount, threadCount: threadCount))
            case .linuxExact:
                try #require(
                    LinuxModel(slotCount: slotCount, threadCount: threadCount, countsExactly: true))
            }
        }
    }

    static let segmentSlotCount = 128
    static let sizes = [512, 2048, 4096, 6144, 16384, 65536, 100_000, 131072, 262144]

    /// Whether some run of free slots, within a segment and aligned as a page where it is as long,
    /// has room.
    private func hasRoom(_ used: [Bool], byteCount: Int) -> Bool {
        let count = (byteCount + slotByteCount - 1) / slotByteCount
        // Both align a page or more; the twin two slots or more.
        let stride = byteCount > slotByteCount ? 2 : 1
        for segment in Swift.stride(from: 0, to: used.count, by: Self.segmentSlotCount) {
            let end = min(segment + Self.segmentSlotCount, used.count)
            for first in Swift.stride(from: segment, to: end, by: stride)
            where first + count <= end && !used[first..<first + count].contains(true) {
                return true
            }
        }
        return false
    }

    @Test(arguments: Kind.allCases, [1, 3])
    func `mappings never overlap, and only what fits nowhere is refused`(
        kind: Kind, threadCount: Int
    ) throws {
        var random = SeededGenerator()
        let slotCount = 8 * Self.segmentSlotCount
        let model = try kind.make(slotCount: slotCount, threadCount: threadCount)
        var used = [Bool](repeating: false, count: slotCount)
        var live: [Mapped] = []
        for step in 0..<20_000 {
            let thread = random.below(threadCount)
            // In waves, from empty to full and back.
            let fills = step / 500 % 2 == 0 ? random.below(4) > 0 : random.below(4) == 0
            if fills {
                let byteCount = Self.sizes[random.below(Self.sizes.count)]
                guard let mapped = model.map(thread: thread, byteCount: byteCount) else {
                    try #require(
                        !hasRoom(used, byteCount: byteCount),
                        "refused \(byteCount) at step \(step), seed \(random.seed)")
                    continue
                }
                try #require(mapped.slots.allSatisfy { !used[$0] }, "seed \(random.seed)")
                try #require(
                    mapped.slots.lowerBound / 128 == (mapped.slots.upperBound - 1) / 128)
                if byteCount >= 4096 { try #require(mapped.firstSlot % 2 == 0) }
                for slot in mapped.slots { used[slot] = true }
                live.append(mapped)
            } else if !live.isEmpty {
                live.swapAt(random.below(live.count), live.count - 1)
                let mapped = live.removeLast()
                for slot in mapped.slots { used[slot] = false }
                model.unmap(mapped, thread: thread)
            }
            if step % 500 == 0 {
                try #require(model.isConsistent, "step \(step), seed \(random.seed)")
                try #require(model.freeSlotCount == used.count { !$0 }, "seed \(random.seed)")
            }
        }
        for mapped in live { model.unmap(mapped, thread: 0) }
        #expect(model.isConsistent)
        #expect(model.freeSlotCount == slotCount)
        // Nothing is fragmented once nothing is mapped.
        for _ in 0..<8 { #expect(model.map(thread: 0, byteCount: 262144) != nil) }
    }

    @Test(arguments: Kind.allCases)
    func `threads never get the same slots`(kind: Kind) throws {
        let threadCount = 4
        let slotCount = 4 * Self.segmentSlotCount
        let model = try kind.make(slotCount: slotCount, threadCount: threadCount)
        let seed = UInt64.random(in: .min ... .max)
        let owners = Owners(slotCount: slotCount)
        onThreads(threadCount) { thread in
            var random = SeededGenerator(seed: seed &+ UInt64(thread))
            var live: [Mapped] = []
            for _ in 0..<20_000 {
                if random.below(2) == 0 {
                    let byteCount = Self.sizes[random.below(Self.sizes.count)]
                    guard let mapped = model.map(thread: thread, byteCount: byteCount) else {
                        continue
                    }
                    owners.take(mapped.slots)
                    live.append(mapped)
                } else if !live.isEmpty {
                    live.swapAt(random.below(live.count), live.count - 1)
                    let mapped = live.removeLast()
                    owners.leave(mapped.slots)
                    model.unmap(mapped, thread: thread)
                }
            }
            for mapped in live {
                owners.leave(mapped.slots)
                model.unmap(mapped, thread: thread)
            }
        }
        #expect(owners.conflictCount == 0, "seed \(seed)")
        #expect(model.isConsistent, "seed \(seed)")
        #expect(model.freeSlotCount == slotCount, "seed \(seed)")
    }

    @Test func `a twin with longer segments serves longer mappings`() throws {
        let twin = try #require(Twin(slotCount: 2048, threadCount: 2, segmentShift: 9))
        let first = try #require(twin.map(thread: 0, byteCount: 1 << 20))
        let second = try #require(twin.map(thread: 1, byteCount: 1 << 20))
        #expect(first.slotCount == 512)
        #expect(!first.slots.overlaps(second.slots))
        #expect(twin.map(thread: 0, byteCount: 1 << 20 + 1) == nil)
        twin.unmap(first, thread: 1)
        twin.unmap(second, thread: 0)
        #expect(twin.isConsistent)
    }

    @Test func `a twin takes the slots it freed last, and counts`() throws {
        let twin = try #require(Twin(slotCount: 1024, threadCount: 1))
        let first = try #require(twin.map(thread: 0, byteCount: 4096))
        let second = try #require(twin.map(thread: 0, byteCount: 4096))
        twin.unmap(first, thread: 0)
        twin.unmap(second, thread: 0)
        let third = try #require(twin.map(thread: 0, byteCount: 4096))
        #expect(third.slots == second.slots)
        #expect(third.twin.state != second.twin.state)
        let counters = twin.counters(0)
        #expect(counters.map_count == 3)
        #expect(counters.unmap_count == 2)
        #expect(counters.mapped_slot_count == 2)
        #expect(counters.mapped_slot_count_max == 4)
        twin.unmap(third, thread: 0)
    }

    @Test func `a pool that makes no sense is refused`() {
        #expect(Twin(slotCount: 0, threadCount: 1) == nil)
        #expect(Twin(slotCount: 128, threadCount: 0) == nil)
        #expect(Twin(slotCount: 128, threadCount: 1, segmentShift: 5) == nil)
        #expect(LinuxModel(slotCount: 0, threadCount: 1) == nil)
        #expect(LinuxModel(slotCount: 128, threadCount: 0) == nil)
    }
}

/// Who has which slots, for all threads to see.
private final class Owners: Sendable {
    private let slots: Mutex<[Bool]>
    private let conflicts = Atomic(0)

    init(slotCount: Int) {
        slots = Mutex([Bool](repeating: false, count: slotCount))
    }

    var conflictCount: Int { conflicts.load(ordering: .relaxed) }

    func take(_ range: Range<Int>) { set(range, to: true) }
    func leave(_ range: Range<Int>) { set(range, to: false) }

    private func set(_ range: Range<Int>, to value: Bool) {
        slots.withLock { slots in
            for slot in range {
                if slots[slot] == value { conflicts.add(1, ordering: .relaxed) }
                slots[slot] = value
            }
        }
    }
}
