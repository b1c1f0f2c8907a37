import SharedMemory
import Testing

@testable import SwiotlbPool

/// Growth and shrinking (Linux grows, as `swiotlb_dyn_alloc` does, and never shrinks).
@Suite struct BouncePoolExtentsTests {
    private func makeFixture(
        slotCount: Int = 128, extents: Int = 3,
        _ configure: (inout PoolConfiguration) -> Void = { _ in }
    ) throws -> PoolFixture {
        try PoolFixture(slotCount: slotCount) {
            $0.extentCountMax = extents
            configure(&$0)
        }
    }

    private func memory(_ slotCount: Int = 128, value: UInt8 = 0) throws -> HostMemory {
        let memory = try HostMemory.anonymous(byteCount: slotCount * 2048)
        memory.fill(at: 0, byteCount: memory.byteCount, with: value)
        return memory
    }

    @Test func mappingsComeFromNewExtentsOnceTheFirstIsFull() throws {
        let fixture = try makeFixture()
        var mapper = try fixture.pool.makeMapper()
        let first = try mapper.box(fixture.buffer(0, segmentByteCount))
        #expect(mapper.refusal(fixture.buffer(0, 1)) == .exhausted(freeSlotCount: 0))
        let extent = try memory()
        #expect(fixture.pool.nextExtent == 1)
        #expect(try fixture.pool.addExtent(extent) == 1)
        #expect(fixture.pool.statistics.slotCount == 256)
        fixture.memory.fill(at: 5, byteCount: 3, with: 7)
        let second = try mapper.box(fixture.buffer(5, 3), .bidirectional)
        #expect(second.device.address == fixture.pool.address(ofExtent: 1))
        #expect(extent.bytes(at: 0, byteCount: 4) == [7, 7, 7, 0])
        extent.fill(at: 0, byteCount: 3, with: 8)
        mapper.end(second)
        #expect(fixture.memory.bytes(at: 4, byteCount: 5) == [0, 8, 8, 8, 0])
        mapper.end(first)
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func extentsLieAtDistancesOfAPowerOfTwo() throws {
        let fixture = try makeFixture(slotCount: 384)
        let base = fixture.pool.windowAddress.rawValue
        #expect(fixture.pool.address(ofExtent: 2).rawValue == base + 2 * 512 * 2048)
        try fixture.pool.addExtent(try memory(384))
        let at = { GuestAddress(base + $0) }
        #expect(fixture.pool.extent(of: at(0)) == 0)
        #expect(fixture.pool.extent(of: at(384 * 2048 - 1)) == 0)
        #expect(fixture.pool.extent(of: at(384 * 2048)) == nil, "between extents")
        #expect(fixture.pool.extent(of: at(512 * 2048)) == 1)
        #expect(fixture.pool.extent(of: at(896 * 2048 - 1)) == 1)
        #expect(fixture.pool.extent(of: at(1024 * 2048)) == nil, "not there")
        #expect(fixture.pool.extent(of: at(1536 * 2048)) == nil, "never there")
        #expect(fixture.pool.extent(of: GuestAddress(base - 1)) == nil)
        #expect(fixture.pool.extent(of: GuestAddress(.max)) == nil)
    }

    @Test func memoryOfAnExtentIsToldByItsIndex() throws {
        let fixture = try makeFixture()
        let extent = try memory()
        try fixture.pool.addExtent(extent)
        #expect(fixture.pool.memory(ofExtent: 0) === fixture.window)
        #expect(fixture.pool.memory(ofExtent: 1) === extent)
        for index in [-1, 2, 3, Int.max, Int.min] {
            #expect(fixture.pool.memory(ofExtent: index) == nil)
        }
    }

    @Test func extentsOfAnotherLengthOrTooManyAreRefused() throws {
        let fixture = try makeFixture(extents: 2)
        for slots in [64, 256] {
            #expect(throws: PoolError.extentLengthDiffers(expectedByteCount: segmentByteCount)) {
                try fixture.pool.addExtent(try memory(slots))
            }
        }
        try fixture.pool.addExtent(try memory())
        #expect(fixture.pool.nextExtent == nil)
        #expect(throws: PoolError.tooManyExtents(maximum: 2)) {
            try fixture.pool.addExtent(try memory())
        }
    }

    @Test func drainOfAnUnusedExtentReleasesItsMemory() throws {
        let fixture = try makeFixture()
        weak var released: HostMemory?
        do {
            let extent = try memory()
            released = extent
            try fixture.pool.addExtent(extent)
        }
        #expect(released != nil)
        #expect(try fixture.pool.drain(extent: 1) == 0)
        #expect(released == nil)
        #expect(fixture.pool.statistics.slotCount == 128)
        #expect(fixture.pool.extent(of: fixture.pool.address(ofExtent: 1)) == nil)
        #expect(fixture.pool.nextExtent == 1)
    }

    @Test func drainBelowUseTakesWhatIsFreeAndSaysWhatIsNot() throws {
        let fixture = try makeFixture(slotCount: 128, extents: 1)
        var mapper = try fixture.pool.makeMapper()
        let box = try mapper.box(fixture.buffer(0, 5000))
        let cached = try mapper.box(fixture.buffer(0, 9000))
        mapper.end(cached)
        #expect(try fixture.pool.drain(extent: 0) == 3)
        #expect(try fixture.pool.drain(extent: 0) == 3)
        #expect(mapper.refusal(fixture.buffer(0, 1)) == .exhausted(freeSlotCount: 0))
        #expect(fixture.pool.extent(of: box.device.address) == 0)
        #expect(fixture.usedSlotCount == 3)
        mapper.end(box)
        #expect(try fixture.pool.drain(extent: 0) == 0)
        #expect(fixture.pool.statistics.slotCount == 0)
        #expect(mapper.refusal(fixture.buffer(0, 1)) == .exhausted(freeSlotCount: 0))
        // And back again, as any extent.
        #expect(try fixture.pool.addExtent(fixture.window) == 0)
        mapper.end(try mapper.box(fixture.buffer(0, segmentByteCount)))
    }

    @Test func cancelledDrainGivesTheSlotsBack() throws {
        let fixture = try makeFixture(extents: 1)
        var mapper = try fixture.pool.makeMapper()
        let box = try mapper.box(fixture.buffer(0, 5000))
        #expect(try fixture.pool.drain(extent: 0) == 3)
        try fixture.pool.cancelDrain(extent: 0)
        let rest = try (0..<125).map { _ in try mapper.box(fixture.buffer(0, 1)) }
        #expect(mapper.refusal(fixture.buffer(0, 1)) == .exhausted(freeSlotCount: 0))
        for box in rest + [box] { mapper.end(box) }
        #expect(fixture.freeSlots.allSatisfy { $0 })
        #expect(throws: PoolError.noSuchExtent) { try fixture.pool.cancelDrain(extent: 0) }
    }

    @Test(arguments: [-1, 1, 3, Int.max, Int.min])
    func drainOfAnExtentThatDoesNotExistIsRefused(index: Int) throws {
        let fixture = try makeFixture()
        #expect(throws: PoolError.noSuchExtent) { _ = try fixture.pool.drain(extent: index) }
        #expect(throws: PoolError.noSuchExtent) { try fixture.pool.cancelDrain(extent: index) }
    }

    @Test func mapperThatWasIdleUnmapsFromAnExtentThatCameMeanwhile() throws {
        let fixture = try makeFixture { $0.scrub = .onFree }
        var idle = try fixture.pool.makeMapper()
        var mapper = try fixture.pool.makeMapper()
        let first = try mapper.box(fixture.buffer(0, segmentByteCount))
        let extent = try memory()
        try fixture.pool.addExtent(extent)
        let second = try mapper.box(fixture.buffer(0, 10_000), .fromDevice)
        extent.fill(at: 0, byteCount: 10_000, with: 9)
        idle.end(second)
        #expect(fixture.memory.bytes(at: 9_999, byteCount: 2) == [9, 0])
        #expect(extent.bytes(at: 0, byteCount: 10_000).allSatisfy { $0 == 0 })
        mapper.end(first)
    }

    @Test func mapperThatWasIdleSyncsAndReleasesInAnExtentThatCameMeanwhile() throws {
        let fixture = try makeFixture { $0.scrub = .onFree }
        var mapper = try fixture.pool.makeMapper()
        let first = try mapper.box(fixture.buffer(0, segmentByteCount))
        var idle = try fixture.pool.makeMapper()
        var other = try fixture.pool.makeMapper()
        let extent = try memory()
        try fixture.pool.addExtent(extent)
        let second = try mapper.box(fixture.buffer(100, 10_000), .bidirectional)
        fixture.memory.fill(at: 100, byteCount: 10_000, with: 3)
        second.syncForDevice(&idle, offset: 1, byteCount: 2)
        #expect(extent.bytes(at: 0, byteCount: 4) == [0, 3, 3, 0])
        let token = mapper.quarantine(second.take())
        try other.release(quarantined: token)
        #expect(extent.bytes(at: 0, byteCount: 4) == [0, 0, 0, 0])
        mapper.end(first)
    }

    /// The memory behind an index is another one than a mapper knew.
    @Test func extentInThePlaceOfADrainedOneIsUsedByAnIdleMapper() throws {
        let fixture = try makeFixture(extents: 2)
        var idle = try fixture.pool.makeMapper()
        var mapper = try fixture.pool.makeMapper()
        let full = try mapper.box(fixture.buffer(0, segmentByteCount))
        do {
            let old = try memory(value: 1)
            try fixture.pool.addExtent(old)
            idle.end(try idle.box(fixture.buffer(0, 1)))
            #expect(try fixture.pool.drain(extent: 1) == 0)
        }
        let new = try memory(value: 2)
        try fixture.pool.addExtent(new)
        let box = try mapper.box(fixture.buffer(0, 3), .fromDevice)
        idle.end(box)
        #expect(fixture.memory.bytes(at: 0, byteCount: 3) == [2, 2, 2])
        mapper.end(full)
    }

    @Test func extentInThePlaceOfADrainedOneIsScrubbedForItsFirstOwner() throws {
        let fixture = try makeFixture { $0.scrub = .onOwnerChange }
        let owner = try fixture.pool.makeOwner(name: "one")
        var mapper = try fixture.pool.makeMapper(owner: owner)
        let full = try mapper.box(fixture.buffer(0, segmentByteCount))
        try fixture.pool.addExtent(try memory(value: 1))
        let box = try mapper.box(fixture.buffer(0, 3), .fromDevice)
        mapper.end(box)
        #expect(fixture.memory.bytes(at: 0, byteCount: 3) == [0, 0, 0])
        #expect(try fixture.pool.drain(extent: 1) == 0)
        try fixture.pool.addExtent(try memory(value: 2))
        let again = try mapper.box(fixture.buffer(0, 3), .fromDevice)
        mapper.end(again)
        #expect(fixture.memory.bytes(at: 0, byteCount: 3) == [0, 0, 0])
        mapper.end(full)
    }
}
