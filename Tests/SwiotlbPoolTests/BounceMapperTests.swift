import AllocationCounter
import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// Where mappings lie, and what is refused (invariants 1 to 7 of swiotlb.md).
@Suite struct BounceMapperTests {
    @Test func liveMappingsAreDisjointAndInsideTheirSegments() throws {
        var generator = SeededGenerator()
        let fixture = try PoolFixture(slotCount: 700, areaCount: 2)
        var mapper = fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: 4095))
        var boxes: [MappingBox] = []
        while case .success(let box) = mapper.attempt(
            fixture.buffer(generator.below(100_000), 1 + generator.below(20_000)))
        {
            boxes.append(box)
        }
        #expect(boxes.count > 20, "seed \(generator.seed)")
        var owned = Set<Int>()
        for box in boxes {
            let slots = box.slots.first..<box.slots.first + box.slots.count
            #expect(slots.lowerBound / 128 == (slots.upperBound - 1) / 128)
            #expect(slots.upperBound <= 700)
            #expect(owned.isDisjoint(with: slots), "seed \(generator.seed)")
            owned.formUnion(slots)
            let start = fixture.windowOffset(box.device)
            #expect(start >= slots.lowerBound * 2048)
            #expect(start + box.device.byteCount <= slots.upperBound * 2048)
        }
        #expect(fixture.usedSlotCount == owned.count)
        for box in boxes { mapper.end(box) }
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.freeSlots == [.max, .max, .max, .max, .max, (1 << 60) - 1])
    }

    @Test(arguments: [511, 2047, 4095, 8191, 65535, 131071] as [UInt64])
    func lowBitsOfTheAddressAreKeptAtEveryResidue(mask: UInt64) throws {
        let fixture = try PoolFixture(slotCount: 256)
        var mapper = fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: mask))
        // All residues of small masks, and a step that is odd, so coprime, for large ones.
        var wrong: [Int] = []
        for residue in stride(from: 0, through: Int(mask), by: mask < 8192 ? 1 : 61) {
            let box = try mapper.box(fixture.buffer(residue, 3000))
            if (box.device.address.rawValue ^ box.buffer.address.rawValue) & mask != 0 {
                wrong.append(residue)
            }
            mapper.end(box)
        }
        #expect(wrong == [])
        #expect(fixture.usedSlotCount == 0)
    }

    @Test(arguments: [4095, 8191, 65535, 262143] as [UInt64])
    func slotsBeginAtTheAllocationAlignment(mask: UInt64) throws {
        let fixture = try PoolFixture(slotCount: 1024, windowAddress: 3 * 262144)
        var mapper = fixture.pool.makeMapper(
            constraints: DMAConstraints(allocationAlignmentMask: mask))
        var boxes: [MappingBox] = []
        while case .success(let box) = mapper.attempt(fixture.buffer(5, 1)) {
            boxes.append(box)
            let start =
                fixture.pool.windowAddress.rawValue + UInt64(box.slots.first * slotByteCount)
            #expect(start & mask == 0)
            #expect(box.slots.count == (Int(mask) + 1) / slotByteCount)
        }
        // Pads belong to the mapping: nothing else fits in between.
        #expect(boxes.count == 1024 * slotByteCount / (Int(mask) + 1))
        for box in boxes { mapper.end(box) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func pagesBeginAtPagesEvenAfterAnOddSlot() throws {
        let fixture = try PoolFixture()
        var mapper = fixture.pool.makeMapper()
        let odd = try mapper.box(fixture.buffer(0, 1))
        let page = try mapper.box(fixture.buffer(1, 4096))
        #expect(page.device.address.rawValue % 4096 == 0)
        #expect(page.slots == SlotRun(first: 2, count: 2))
        mapper.end(odd)
        mapper.end(page)
    }

    @Test func longestMappingSucceedsOnAnEmptyPoolForEveryMaskAndOneByteMoreIsTooLarge() throws {
        let masks = (0...17).map { (UInt64(1) << UInt64($0)) - 1 }
        for kept in masks {
            for start in [0] + masks.dropFirst(11) + [262143] {
                let fixture = try PoolFixture(slotCount: 128)
                var mapper = fixture.pool.makeMapper(
                    constraints: DMAConstraints(
                        minimumAlignmentMask: kept, allocationAlignmentMask: start))
                let most = mapper.maximumMappingByteCount
                #expect(most == segmentByteCount - Int(kept == 0 ? 0 : max(kept + 1, 2048)))
                for residue in [0, 1, 2047, 2048, 4095, Int(kept), Int(kept / 2)] {
                    switch mapper.attempt(fixture.buffer(residue, most), .fromDevice) {
                    case .success(let box): mapper.end(box, usedByteCount: 0)
                    case .failure(let reason):
                        Issue.record("kept \(kept) start \(start) at \(residue): \(reason)")
                    }
                    let reason = mapper.refusal(fixture.buffer(residue, most + 1))
                    #expect(reason == .tooLarge(maximumByteCount: most))
                }
                #expect(fixture.usedSlotCount == 0)
            }
        }
    }

    @Test func fullAreaSpillsIntoTheOthersAndThenIsExhausted() throws {
        let fixture = try PoolFixture(slotCount: 384, areaCount: 3)
        var mapper = fixture.pool.makeMapper(area: 1)
        let boxes = try (0..<3).map { _ in try mapper.box(fixture.buffer(0, segmentByteCount)) }
        #expect(boxes.map { $0.slots.first / 128 } == [1, 2, 0])
        let reason = mapper.refusal(fixture.buffer(0, 1))
        #expect(reason == .exhausted(freeSlotCount: 0))
        for box in boxes { mapper.end(box) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func freeByAnotherMapperReturnsToTheOwningArea() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var owner = fixture.pool.makeMapper(area: 0)
        var other = fixture.pool.makeMapper(area: 1)
        let box = try owner.box(fixture.buffer(0, segmentByteCount))
        #expect(fixture.freeSlots == [0, .max])
        other.end(box)
        #expect(fixture.freeSlots == [.max, .max])
        // The other mapper still begins in its own area, and the owner finds its slots again.
        let second = try other.box(fixture.buffer(0, 1))
        #expect(second.slots.first == 128)
        let third = try owner.box(fixture.buffer(0, segmentByteCount))
        #expect(third.slots.first == 0)
        other.end(second)
        owner.end(third)
    }

    @Test func slotsFreedLastAreHandedOutFirst() throws {
        let fixture = try PoolFixture(slotCount: 512)
        var mapper = fixture.pool.makeMapper()
        var boxes = try (0..<200).map { _ in try mapper.box(fixture.buffer(0, 4096)) }
        for index in [150, 3, 199, 77] {
            let freed = boxes[index].slots
            mapper.end(boxes[index])
            boxes[index] = try mapper.box(fixture.buffer(0, 4096))
            #expect(boxes[index].slots == freed)
        }
        // Also where more slots are free below.
        mapper.end(boxes[5])
        let last = boxes[120].slots
        mapper.end(boxes[120])
        boxes[120] = try mapper.box(fixture.buffer(0, 4096))
        #expect(boxes[120].slots == last)
        boxes[5] = try mapper.box(fixture.buffer(0, 4096))
        for box in boxes { mapper.end(box) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func refusalsSayWhyAndChangeNothing() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = fixture.pool.makeMapper()
        fixture.window.fill(at: 0, byteCount: fixture.window.byteCount, with: 0x5a)
        var boxes = try (0..<128).map { _ in
            try mapper.box(fixture.buffer(0, 2048), .fromDevice)
        }
        let full = mapper.refusal(fixture.buffer(0, 1))
        #expect(full == .exhausted(freeSlotCount: 0))
        #expect(fixture.freeSlots == [0])
        for index in stride(from: 0, to: 128, by: 2) {
            mapper.end(boxes[index], usedByteCount: 0)
        }
        let free = fixture.freeSlots
        let fragmented = mapper.refusal(fixture.buffer(0, 2049))
        #expect(fragmented == .fragmented(longestFreeRunSlotCount: 1))
        let exhausted = mapper.refusal(fixture.buffer(0, 65 * 2048))
        #expect(exhausted == .exhausted(freeSlotCount: 64))
        let large = mapper.refusal(fixture.buffer(0, segmentByteCount + 1))
        #expect(large == .tooLarge(maximumByteCount: segmentByteCount))
        for (offset, count) in [(-1, 1), ((1 << 20), 1), ((1 << 20) - 1, 2), (-1, 3)] {
            let outside = mapper.refusal(fixture.buffer(offset, count))
            #expect(outside == .outsidePrivateMemory)
        }
        let hostile = mapper.refusal(GuestRange(address: GuestAddress(.max), byteCount: 2))
        #expect(hostile == .outsidePrivateMemory)
        #expect(fixture.freeSlots == free)
        #expect(
            fixture.window.bytes(at: 0, byteCount: 128 * 2048).allSatisfy { $0 == 0x5a })
        // The slots that are left still work.
        boxes[0] = try mapper.box(fixture.buffer(0, 1), .fromDevice)
        mapper.end(boxes[0], usedByteCount: 0)
        for index in stride(from: 1, to: 128, by: 2) {
            mapper.end(boxes[index], usedByteCount: 0)
        }
        #expect(fixture.freeSlots == [.max])
    }

    @Test func freeRunThatTheAlignmentForbidsIsFragmentation() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = fixture.pool.makeMapper()
        let first = try mapper.box(fixture.buffer(0, 1))
        var aligned = fixture.pool.makeMapper(
            constraints: DMAConstraints(allocationAlignmentMask: 262143))
        let reason = aligned.refusal(fixture.buffer(0, 1))
        #expect(reason == .exhausted(freeSlotCount: 127))
        var kept = fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: 131071))
        let second = try kept.box(fixture.buffer(65536, 1))
        let third = try kept.box(fixture.buffer(65536, 1))
        let fragmented = kept.refusal(fixture.buffer(65536, 1))
        #expect(fragmented == .fragmented(longestFreeRunSlotCount: 63))
        mapper.end(first)
        kept.end(second)
        kept.end(third)
    }

    @Test func windowSmallerThanASegmentIsAllUsed() throws {
        let fixture = try PoolFixture(slotCount: 5)
        var mapper = fixture.pool.makeMapper()
        let boxes = try (0..<5).map { _ in try mapper.box(fixture.buffer(0, 2000)) }
        #expect(Set(boxes.map(\.slots.first)) == Set(0..<5))
        for box in boxes { mapper.end(box) }
        #expect(mapper.refusal(fixture.buffer(0, 12_000))?.isTemporary == false)
    }

    @Test func emptyBufferTraps() async {
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            var mapper = fixture.pool.makeMapper()
            _ = mapper.refusal(fixture.buffer(0, 0))
        }
    }

    @Test(.enabled(if: allocation_counter_works()))
    func mapSyncAndUnmapAllocateNothing() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var mapper = fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: 4095))
        let directions: [DMADirection] = [.toDevice, .fromDevice, .bidirectional]
        func work(_ count: Int) throws {
            for index in 0..<count {
                let mapping = try mapper.map(
                    fixture.buffer(index % 5000, 1 + index % 9000), directions[index % 3])
                mapper.syncForDevice(mapping, offset: 0, byteCount: 1)
                mapper.syncForCPU(mapping, offset: 0, byteCount: 1)
                mapper.unmap(mapping, usedByteCount: index)
            }
        }
        try work(10)
        let before = allocation_counter_read()
        try work(10_000)
        let after = allocation_counter_read()
        #expect(after - before == 0)
    }

    // Refusals are not counted: Swift Testing hooks every throw, and allocates for it.
}
