import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// Where mappings lie, and what is refused (invariants 1 to 7 of swiotlb.md).
@Suite struct BounceMapperTests {
    @Test func liveMappingsAreDisjointAndInsideTheirSegments() throws {
        var generator = SeededGenerator()
        let fixture = try PoolFixture(slotCount: 640, areaCount: 2)
        var mapper = try fixture.pool.makeMapper(
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
            let slots = box.slots.first..<box.slots.end
            #expect(slots.lowerBound / 128 == (slots.upperBound - 1) / 128)
            #expect(slots.upperBound <= 640)
            #expect(owned.isDisjoint(with: slots), "seed \(generator.seed)")
            owned.formUnion(slots)
            let start = fixture.windowOffset(box.device)
            #expect(start >= slots.lowerBound * 2048)
            #expect(start + box.device.byteCount <= slots.upperBound * 2048)
        }
        #expect(fixture.usedSlotCount == owned.count)
        for box in boxes { mapper.end(box) }
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.freeSlots == (0..<1024).map { $0 < 640 })
    }

    /// `dma_get_min_align_mask`, kept by `swiotlb_tbl_map_single`.
    @Test(arguments: [511, 2047, 4095, 8191, 65535, 131071] as [UInt64])
    func lowBitsOfTheAddressAreKeptAtEveryResidue(mask: UInt64) throws {
        let fixture = try PoolFixture(slotCount: 256)
        var mapper = try fixture.pool.makeMapper(
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

    /// The `alloc_align_mask` of `swiotlb_tbl_map_single`.
    @Test(arguments: [4095, 8191, 65535, 262143] as [UInt64])
    func slotsBeginAtTheAllocationAlignment(mask: UInt64) throws {
        let fixture = try PoolFixture(slotCount: 1024, windowAddress: 3 * 262144)
        var mapper = try fixture.pool.makeMapper(
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

    /// `iommu_is_span_boundary` with `dma_get_seg_boundary`.
    @Test(arguments: [2047, 4095, 16383, 65535, 131071] as [UInt64])
    func boundariesAreNotCrossed(mask: UInt64) throws {
        var generator = SeededGenerator()
        let fixture = try PoolFixture(slotCount: 512, windowAddress: 5 * 262144)
        for kept in [0, 511, 4095] as [UInt64] {
            var mapper = try fixture.pool.makeMapper(
                constraints: DMAConstraints(minimumAlignmentMask: kept, boundaryMask: mask))
            let most = mapper.maximumMappingByteCount
            guard most > 0 else { continue }
            var boxes: [MappingBox] = []
            while case .success(let box) = mapper.attempt(
                fixture.buffer(generator.below(10_000), 1 + generator.below(most)))
            {
                boxes.append(box)
                let first = box.device.address.rawValue
                let last = first + UInt64(box.device.byteCount) - 1
                #expect(first | mask == last | mask, "seed \(generator.seed)")
            }
            #expect(!boxes.isEmpty)
            for box in boxes { mapper.end(box) }
        }
        #expect(fixture.usedSlotCount == 0)
    }

    /// The page rule of `swiotlb_search_pool_area`.
    @Test func pagesBeginAtPagesEvenAfterAnOddSlot() throws {
        let fixture = try PoolFixture()
        var mapper = try fixture.pool.makeMapper()
        let odd = try mapper.box(fixture.buffer(0, 1))
        let page = try mapper.box(fixture.buffer(1, 4096))
        #expect(page.device.address.rawValue % 4096 == 0)
        #expect(page.slots == SlotRun(first: 2, count: 2))
        mapper.end(odd)
        mapper.end(page)
    }

    /// `swiotlb_max_mapping_size`.
    @Test func longestMappingSucceedsOnAnEmptyPoolForEveryMaskAndOneByteMoreIsTooLarge() throws {
        let masks = (0...17).map { (UInt64(1) << UInt64($0)) - 1 }
        for kept in masks {
            for start in [0] + masks.dropFirst(11) + [262143] {
                let fixture = try PoolFixture(slotCount: 128)
                var mapper = try fixture.pool.makeMapper(
                    constraints: DMAConstraints(
                        minimumAlignmentMask: kept, allocationAlignmentMask: start))
                let most = mapper.maximumMappingByteCount
                #expect(most == segmentByteCount - Int(kept == 0 ? 0 : max(kept + 1, 2048)))
                try checkLongest(fixture, &mapper, [0, 1, 2047, 2048, 4095, kept, kept / 2])
            }
        }
    }

    @Test func longestMappingSucceedsWithBoundariesAndSeveralSegmentsToo() throws {
        for perMapping in [1, 2, 3, 5] {
            for boundary in [2047, 4095, 65535, 262143, 524287, (1 << 20) - 1, .max] as [UInt64] {
                for (areas, kept) in [(1, 0), (1, 4095), (3, 511), (2, 65535)] as [(Int, UInt64)] {
                    let fixture = try PoolFixture(
                        slotCount: 640, areaCount: areas, windowAddress: 3 * 262144,
                        memoryByteCount: 2 << 20
                    ) { $0.geometry = try! PoolGeometry(segmentsPerMapping: perMapping) }
                    var mapper = try fixture.pool.makeMapper(
                        constraints: DMAConstraints(
                            minimumAlignmentMask: kept, boundaryMask: boundary))
                    try checkLongest(fixture, &mapper, [0, 1, 2048, kept])
                }
            }
        }
    }

    private func checkLongest(
        _ fixture: PoolFixture, _ mapper: inout BounceMapper, _ residues: [UInt64]
    ) throws {
        let most = mapper.maximumMappingByteCount
        for residue in residues.map({ Int($0) }) {
            if most > 0 {
                switch mapper.attempt(fixture.buffer(residue, most), .fromDevice) {
                case .success(let box): mapper.end(box, usedByteCount: 0)
                case .failure(let reason):
                    Issue.record("\(mapper.constraints) at \(residue): \(reason)")
                }
            }
            let reason = mapper.refusal(fixture.buffer(residue, most + 1))
            #expect(
                reason == (most == 0 ? .alignmentImpossible : .tooLarge(maximumByteCount: most)))
        }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test(arguments: [
        DMAConstraints(minimumAlignmentMask: 262143), DMAConstraints(minimumAlignmentMask: .max),
        DMAConstraints(allocationAlignmentMask: 524287),
        DMAConstraints(allocationAlignmentMask: .max),
        DMAConstraints(minimumAlignmentMask: 4095, boundaryMask: 4095),
        DMAConstraints(allocationAlignmentMask: 8191, boundaryMask: 4095),
    ])
    func masksThatNoPoolCanServeRefuseEveryBuffer(constraints: DMAConstraints) throws {
        let fixture = try PoolFixture()
        var mapper = try fixture.pool.makeMapper(constraints: constraints)
        #expect(mapper.maximumMappingByteCount == 0)
        for (offset, count) in [(0, 1), (5, 4096), (262144, 8192)] {
            #expect(mapper.refusal(fixture.buffer(offset, count)) == .alignmentImpossible)
        }
        #expect(mapper.refusal(fixture.buffer(0, 0)) == .empty)
    }

    /// The order of `swiotlb_find_slots`: the own area first, the others in turn.
    @Test func fullAreaSpillsIntoTheOthersInTurn() throws {
        let fixture = try PoolFixture(slotCount: 384, areaCount: 3)
        var mapper = try fixture.pool.makeMapper(area: 1)
        let boxes = try (0..<3).map { _ in try mapper.box(fixture.buffer(0, segmentByteCount)) }
        #expect(boxes.map { $0.slots.first / 128 } == [1, 2, 0])
        let reason = mapper.refusal(fixture.buffer(0, 1))
        #expect(reason == .exhausted(freeSlotCount: 0))
        for box in boxes { mapper.end(box) }
        #expect(fixture.usedSlotCount == 0)
    }

    /// `swiotlb_release_slots` returns slots to the area they are of.
    @Test func freeByAnotherMapperReturnsToTheOwningArea() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var owner = try fixture.pool.makeMapper(area: 0)
        var other = try fixture.pool.makeMapper(area: 1)
        let box = try owner.box(fixture.buffer(0, segmentByteCount))
        #expect(fixture.freeSlots == (0..<256).map { $0 >= 128 })
        other.end(box)
        #expect(fixture.freeSlots.allSatisfy { $0 })
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
        var mapper = try fixture.pool.makeMapper()
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

    @Test func runsCachedByOneMapperAreWithinReachOfAnother() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var first = try fixture.pool.makeMapper()
        var second = try fixture.pool.makeMapper()
        for box in try (0..<14).map({ _ in try first.box(fixture.buffer(0, 8 * 2048)) }) {
            first.end(box)
        }
        second.end(try second.box(fixture.buffer(0, segmentByteCount)))
    }

    @Test func refusalsSayWhyAndChangeNothing() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        fixture.window.fill(at: 0, byteCount: fixture.window.byteCount, with: 0x5a)
        var boxes = try (0..<128).map { _ in
            try mapper.box(fixture.buffer(0, 2048), .fromDevice)
        }
        let full = mapper.refusal(fixture.buffer(0, 1))
        #expect(full == .exhausted(freeSlotCount: 0))
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
        #expect(mapper.refusal(fixture.buffer(0, 0)) == .empty)
        for (offset, count) in [(-1, 1), ((1 << 20), 1), ((1 << 20) - 1, 2), (-1, 3)] {
            let outside = mapper.refusal(fixture.buffer(offset, count))
            #expect(outside == .outsidePrivateMemory)
        }
        for count in [2, Int.max] {
            let hostile = mapper.refusal(
                GuestRange(address: GuestAddress(.max), byteCount: count))
            #expect(hostile == (count == 2 ? .outsidePrivateMemory : large))
        }
        #expect(fixture.freeSlots == free)
        #expect(
            fixture.window.bytes(at: 0, byteCount: 128 * 2048).allSatisfy { $0 == 0x5a })
        // The slots that are left still work.
        boxes[0] = try mapper.box(fixture.buffer(0, 1), .fromDevice)
        mapper.end(boxes[0], usedByteCount: 0)
        for index in stride(from: 1, to: 128, by: 2) {
            mapper.end(boxes[index], usedByteCount: 0)
        }
        #expect(fixture.freeSlots.allSatisfy { $0 })
    }

    @Test func freeRunThatTheAlignmentForbidsIsFragmentation() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let first = try mapper.box(fixture.buffer(0, 1))
        var aligned = try fixture.pool.makeMapper(
            constraints: DMAConstraints(allocationAlignmentMask: 262143))
        let reason = aligned.refusal(fixture.buffer(0, 1))
        #expect(reason == .exhausted(freeSlotCount: 127))
        var kept = try fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: 131071))
        let second = try kept.box(fixture.buffer(65536, 1))
        let third = try kept.box(fixture.buffer(65536, 1))
        let fragmented = kept.refusal(fixture.buffer(65536, 1))
        #expect(fragmented == .fragmented(longestFreeRunSlotCount: 63))
        mapper.end(first)
        kept.end(second)
        kept.end(third)
    }

    @Test(arguments: [
        (512, 64, 1), (512, 64, 4), (4096, 256, 1), (8192, 64, 2), (65536, 64, 1),
    ])
    func otherGeometriesWorkAlike(slot: Int, segment: Int, perMapping: Int) throws {
        let geometry = try PoolGeometry(
            slotByteCount: slot, segmentSlotCount: segment, segmentsPerMapping: perMapping)
        let fixture = try PoolFixture(
            slotCount: 4 * segment, windowAddress: 1 << 40, memoryByteCount: 32 << 20
        ) { $0.geometry = geometry }
        var mapper = try fixture.pool.makeMapper()
        let longest = try mapper.box(
            fixture.buffer(3, geometry.segmentByteCount * perMapping), .bidirectional)
        #expect(longest.slots.count == segment * perMapping)
        let odd = perMapping == 4 ? nil : try mapper.box(fixture.buffer(0, slot + 1))
        if let odd {
            #expect(odd.slots.count == 2)
            mapper.end(odd)
        }
        fixture.window.fill(
            at: fixture.windowOffset(longest.device), byteCount: longest.device.byteCount, with: 6)
        mapper.end(longest)
        #expect(fixture.memory.bytes(at: 2, byteCount: 3) == [0, 6, 6])
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func requestSaysWhatCanNeverBeMapped() throws {
        let fixture = try PoolFixture()
        let owner = try fixture.pool.makeOwner(name: "one", quotaSlotCount: 4)
        var mapper = try fixture.pool.makeMapper(owner: owner)
        func refusal(_ buffer: GuestRange) -> MapRefusal? {
            do throws(MapRefusal) {
                _ = try mapper.request(for: buffer, .toDevice)
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal(fixture.buffer(0, 8192)) == nil)
        #expect(refusal(fixture.buffer(0, 8193)) == .tooLarge(maximumByteCount: 8192))
        #expect(refusal(fixture.buffer(0, 0)) == .empty)
        #expect(refusal(fixture.buffer(-1, 2)) == .outsidePrivateMemory)
        #expect(
            refusal(fixture.buffer(0, segmentByteCount + 1))
                == .tooLarge(maximumByteCount: segmentByteCount))
        mapper.end(try mapper.box(fixture.buffer(0, 1)))
    }
}
