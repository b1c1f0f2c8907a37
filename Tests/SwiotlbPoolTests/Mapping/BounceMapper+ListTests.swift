import BasicContainers
import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// Scatter-gather, as `dma_map_sg` with `swiotlb_map` for each entry, but into one run where it fits
/// (invariant 8 of swiotlb.md).
@Suite struct BounceMapperListTests {
    let fixture: PoolFixture

    init() throws {
        fixture = try PoolFixture()
        // Every byte of private memory tells where it is from.
        fixture.memory.store(Self.pattern.span, at: 0)
    }

    static let pattern = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 167 >> 3) }

    /// A list of mappings whose places are taken by none.
    private func map(
        _ mapper: inout BounceMapper, _ buffers: [GuestRange],
        _ direction: DMADirection = .toDevice, capacity: Int = 300
    ) -> Result<[MappingBox], MapRefusal> {
        var mappings = RigidArray<DMAMapping>(capacity: capacity)
        do throws(MapRefusal) {
            try mapper.map(buffers.span, direction, into: &mappings)
        } catch {
            #expect(mappings.count == 0)
            return .failure(error)
        }
        var boxes: [MappingBox] = []
        while !mappings.isEmpty { boxes.append(MappingBox(mappings.removeLast())) }
        return .success(boxes.reversed())
    }

    private func bytes(_ buffers: [GuestRange]) -> [UInt8] {
        buffers.flatMap { buffer in
            fixture.memory.bytes(
                at: Int(buffer.address.rawValue - PoolFixture.memoryAddress),
                byteCount: buffer.byteCount)
        }
    }

    private func windowBytes(_ boxes: [MappingBox]) -> [UInt8] {
        boxes.flatMap {
            fixture.window.bytes(
                at: fixture.windowOffset($0.device), byteCount: $0.device.byteCount)
        }
    }

    private func buffers(_ places: [(Int, Int)]) -> [GuestRange] {
        places.map { fixture.buffer($0.0, $0.1) }
    }

    @Test func listThatFitsIsOneRun() throws {
        var mapper = try fixture.pool.makeMapper()
        let list = buffers([(100, 3000), (50_000, 1), (7000, 4096), (20_000, 2000)])
        let boxes = try map(&mapper, list, .bidirectional).get()
        #expect(boxes.count == 1)
        #expect(boxes[0].device.byteCount == 9097)
        #expect(boxes[0].buffer == fixture.buffer(100, 9097))
        #expect(boxes[0].slots.count == 5)
        #expect(windowBytes(boxes) == bytes(list))
        #expect(fixture.pool.statistics.copiedInByteCount == 9097)
        // The device writes all, and says that it wrote the first 5000.
        fixture.window.fill(
            at: fixture.windowOffset(boxes[0].device), byteCount: 9097, with: 0xee)
        let before = bytes(list)
        mapper.end(boxes[0], usedByteCount: 5000)
        #expect(
            bytes(list) == [UInt8](repeating: 0xee, count: 5000) + before[5000...])
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func listOfOneBufferIsAsAMapOfIt() throws {
        var mapper = try fixture.pool.makeMapper()
        let boxes = try map(&mapper, buffers([(100, 3000)])).get()
        let mapping = boxes[0].take()
        #expect(!mapping.isList && mapping.buffer == fixture.buffer(100, 3000))
        mapper.unmap(mapping)
    }

    @Test func listLongerThanAMappingIsDivided() throws {
        var mapper = try fixture.pool.makeMapper()
        let list = buffers([(0, 200_000), (300_000, 200_000)])
        let boxes = try map(&mapper, list, .bidirectional).get()
        #expect(boxes.map(\.device.byteCount) == [262_144, 137_856])
        #expect(windowBytes(boxes) == bytes(list))
        let all = Array(bytes(list).reversed())
        fixture.window.store(
            Array(all[..<262_144]).span, at: fixture.windowOffset(boxes[0].device))
        fixture.window.store(
            Array(all[262_144...]).span, at: fixture.windowOffset(boxes[1].device))
        for box in boxes { mapper.end(box) }
        #expect(bytes(list) == all)
    }

    @Test func listIsServedFromShorterRunsWhereNoneIsLongEnough() throws {
        var mapper = try fixture.pool.makeMapper()
        let held = try (0..<64).map { _ in try mapper.box(fixture.buffer(0, 4 * 2048)) }
        for index in stride(from: 0, to: 64, by: 2) { mapper.end(held[index]) }
        let list = buffers([(100, 20_000), (70_000, 13_000)])
        let boxes = try map(&mapper, list).get()
        #expect(boxes.count > 3 && boxes.allSatisfy { $0.slots.count <= 4 })
        #expect(windowBytes(boxes) == bytes(list))
        #expect(boxes.reduce(0) { $0 + $1.device.byteCount } == 33_000)
        for box in boxes { mapper.end(box) }
        #expect(fixture.pool.statistics.refusalCount == 0, "it was not refused")
        for index in stride(from: 1, to: 64, by: 2) { mapper.end(held[index]) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func allOrNothing() throws {
        fixture.window.fill(at: 0, byteCount: fixture.window.byteCount, with: 0xcc)
        let owner = try fixture.pool.makeOwner(name: "one", quotaSlotCount: 256)
        var mapper = try fixture.pool.makeMapper(owner: owner)
        let held = try mapper.box(fixture.buffer(0, 56 * 2048), .fromDevice)
        let free = fixture.freeSlots
        let used = fixture.pool.statistics
        // 100 and 101 slots, of 200 that are free.
        let list = buffers([(0, 200 * 2048), (500_000, 1)])
        #expect(
            map(&mapper, list, .bidirectional).refusal
                == .quotaReached(
                    quotaSlotCount: 256, usedSlotCount: 184))
        #expect(fixture.freeSlots == free)
        let after = fixture.pool.statistics
        #expect(after.copiedInByteCount == used.copiedInByteCount, "rolling back copies nothing")
        #expect(after.copiedOutByteCount == 0 && after.usedSlotCount == 56)
        #expect(after.mapCount == 1 && after.refusalCount == 1)
        let window = fixture.window.bytes(at: 0, byteCount: fixture.window.byteCount)
        #expect(window.allSatisfy { $0 == 0xcc })
        // The quota was given back as well.
        let all = try map(&mapper, buffers([(0, 200 * 2048)])).get()
        for box in all { mapper.end(box) }
        mapper.end(held, usedByteCount: 0)
    }

    @Test func mappingsOfEarlierListsAreKeptByOneThatIsRefused() throws {
        var mapper = try fixture.pool.makeMapper()
        var mappings = RigidArray<DMAMapping>(capacity: 8)
        try mapper.map(buffers([(0, 100)]).span, .toDevice, into: &mappings)
        #expect(throws: MapRefusal.exhausted(freeSlotCount: 127)) {
            try mapper.map(buffers([(0, 256 * 2048)]).span, .toDevice, into: &mappings)
        }
        #expect(mappings.count == 1)
        #expect(fixture.usedSlotCount == 1)
        mapper.unmap(mappings.removeLast())
    }

    @Test func placesThatAreTooFewAreTooFewForGoodOrForNow() throws {
        var mapper = try fixture.pool.makeMapper()
        let long = buffers([(0, 300_000)])
        #expect(
            map(&mapper, long, capacity: 1).refusal
                == .tooLarge(maximumByteCount: segmentByteCount))
        #expect(
            map(&mapper, buffers([(0, 1)]), capacity: 0).refusal
                == .tooLarge(maximumByteCount: segmentByteCount))
        let held = try (0..<64).map { _ in try mapper.box(fixture.buffer(0, 4 * 2048)) }
        for index in stride(from: 0, to: 64, by: 2) { mapper.end(held[index]) }
        #expect(
            map(&mapper, buffers([(0, 5 * 2048)]), capacity: 1).refusal
                == .fragmented(longestFreeRunSlotCount: 4))
        for index in stride(from: 1, to: 64, by: 2) { mapper.end(held[index]) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func moreBuffersThanTheirBytesHaveSlots() throws {
        var mapper = try fixture.pool.makeMapper()
        for count in [2, 100, 128, 129, 250] {
            let list = buffers((0..<count).map { ($0 * 700, 1 + $0 % 3) })
            let boxes = try map(&mapper, list, .bidirectional).get()
            #expect(boxes.count == (count + 127) / 128)
            #expect(windowBytes(boxes) == bytes(list))
            for box in boxes {
                fixture.window.fill(
                    at: fixture.windowOffset(box.device), byteCount: box.device.byteCount,
                    with: UInt8(count))
                mapper.end(box)
            }
            #expect(bytes(list).allSatisfy { $0 == UInt8(count) })
            #expect(fixture.usedSlotCount == 0)
        }
    }

    @Test func moreBuffersThanAMappingCanTake() throws {
        let fixture = try PoolFixture(slotCount: 1024) {
            $0.geometry = try! PoolGeometry(segmentSlotCount: 512)
        }
        var mapper = try fixture.pool.makeMapper()
        let list = (0..<300).map { fixture.buffer($0 * 9, 1) }
        var mappings = RigidArray<DMAMapping>(capacity: 2)
        try mapper.map(list.span, .toDevice, into: &mappings)
        #expect(mappings.count == 2)
        #expect(mappings[0].byteCount == BounceMapper.listBufferCountMax)
        while !mappings.isEmpty { mapper.unmap(mappings.removeLast()) }
    }

    @Test func syncsOfAListTouchTheirPartOnly() throws {
        var mapper = try fixture.pool.makeMapper()
        let list = buffers([(100, 1000), (5000, 10), (9000, 3000)])
        let boxes = try map(&mapper, list, .bidirectional).get()
        let offset = fixture.windowOffset(boxes[0].device)
        let before = bytes(list)
        fixture.window.fill(at: offset, byteCount: 4010, with: 0xee)
        boxes[0].syncForCPU(&mapper, offset: 999, byteCount: 500)
        var expected = before
        for index in 999..<1499 { expected[index] = 0xee }
        #expect(bytes(list) == expected)
        boxes[0].syncForDevice(&mapper, offset: 990, byteCount: 30)
        boxes[0].syncForDevice(&mapper, offset: 1009, byteCount: 0)
        boxes[0].syncForDevice(&mapper, offset: 4009, byteCount: 1)
        var window = [UInt8](repeating: 0xee, count: 4010)
        for index in Array(990..<999) + [4009] { window[index] = before[index] }
        #expect(windowBytes(boxes) == window)
        mapper.end(boxes[0], usedByteCount: 0)
    }

    @Test func listIsParkedAndRedeemed() throws {
        var mapper = try fixture.pool.makeMapper()
        let list = buffers([(100, 1000), (5000, 10), (9000, 3000)])
        let boxes = try map(&mapper, list, .fromDevice).get()
        fixture.window.fill(
            at: fixture.windowOffset(boxes[0].device), byteCount: 4010, with: 0xee)
        let mapping = try mapper.redeem(mapper.park(boxes[0].take()))
        #expect(mapping.isList == true)
        mapper.unmap(mapping)
        #expect(bytes(list).allSatisfy { $0 == 0xee })
        #expect(fixture.memory.bytes(at: 0, byteCount: 100) == Array(Self.pattern[..<100]))
        #expect(fixture.memory.bytes(at: 1100, byteCount: 100) == Array(Self.pattern[1100..<1200]))
    }

    @Test func constraintsHoldForEveryMapping() throws {
        var generator = SeededGenerator()
        let constraints = DMAConstraints(minimumAlignmentMask: 4095, boundaryMask: 65535)
        var mapper = try fixture.pool.makeMapper(constraints: constraints)
        for _ in 0..<100 {
            let list = (0..<1 + generator.below(20)).map { _ in
                fixture.buffer(generator.below(500_000), 1 + generator.below(20_000))
            }
            let boxes = try map(&mapper, list, .toDevice).get()
            #expect(windowBytes(boxes) == bytes(list), "seed \(generator.seed)")
            for box in boxes {
                let (first, count) = (box.device.address.rawValue, box.device.byteCount)
                #expect((first ^ box.buffer.address.rawValue) & 4095 == 0)
                #expect(first | 65535 == (first + UInt64(count) - 1) | 65535)
                mapper.end(box)
            }
        }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func badListsAreRefused() throws {
        var mapper = try fixture.pool.makeMapper()
        #expect(map(&mapper, []).refusal == .empty)
        #expect(map(&mapper, buffers([(0, 1), (5, 0)])).refusal == .empty)
        #expect(map(&mapper, buffers([(0, 1), (-1, 2)])).refusal == .outsidePrivateMemory)
        let hostile = GuestRange(address: GuestAddress(.max), byteCount: .max)
        #expect(map(&mapper, [hostile, hostile]).refusal == .outsidePrivateMemory)
        var impossible = try fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: .max))
        #expect(map(&impossible, buffers([(0, 1)])).refusal == .alignmentImpossible)
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.pool.statistics.refusalCount == 5)
    }
}

extension Result where Success == [MappingBox], Failure == MapRefusal {
    fileprivate var refusal: MapRefusal? {
        if case .failure(let refusal) = self { return refusal }
        return nil
    }
}
