import SharedMemory
import Testing

@testable import SwiotlbPool

/// Memory that driver and device share for good, as `swiotlb_alloc` gives out of a restricted pool.
@Suite struct BouncePoolCoherentTests {
    @Test(arguments: [
        (1, 4096), (4096, 4096), (5000, 4096), (2048, 1), (10, 65536), (100_000, 131_072),
        (262_144, 262_144), (262_144, 4096),
    ])
    func memoryIsZeroedAndAligned(byteCount: Int, alignment: Int) throws {
        let fixture = try PoolFixture(slotCount: 512)
        fixture.window.fill(at: 0, byteCount: fixture.window.byteCount, with: 0x5a)
        var mapper = try fixture.pool.makeMapper()
        // So that an aligned run does not happen to be the first.
        let odd = try mapper.box(fixture.buffer(0, 1), .fromDevice)
        let ring = try fixture.pool.allocateCoherent(byteCount: byteCount, alignment: alignment)
        #expect(ring.deviceRange.byteCount == byteCount)
        #expect(ring.deviceRange.address.rawValue % UInt64(max(alignment, 4096)) == 0)
        #expect(ring.memory === fixture.window)
        #expect(ring.memoryOffset == fixture.windowOffset(ring.deviceRange))
        let bytes = ring.memory.bytes(at: ring.memoryOffset, byteCount: byteCount)
        #expect(bytes.allSatisfy { $0 == 0 })
        // Nothing else was cleared.
        let slotCount = (byteCount + 2047) / 2048
        let all = fixture.window.bytes(at: 0, byteCount: fixture.window.byteCount)
        #expect(all.filter { $0 == 0 }.count == slotCount * 2048)
        let statistics = fixture.pool.statistics
        #expect(statistics.coherentSlotCount == slotCount)
        #expect(statistics.usedSlotCount == slotCount + 1)
        mapper.end(odd, usedByteCount: 0)
    }

    @Test func slotsAreFreeWhenTheAllocationIsDropped() throws {
        let fixture = try PoolFixture(slotCount: 256)
        do {
            let first = try fixture.pool.allocateCoherent(byteCount: 100_000)
            let second = try fixture.pool.allocateCoherent(byteCount: 100_000)
            #expect(first.deviceRange != second.deviceRange)
            #expect(fixture.usedSlotCount == 98)
        }
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.freeSlots.allSatisfy { $0 })
    }

    @Test func longerThanASegmentIsContiguous() throws {
        let fixture = try PoolFixture(slotCount: 640)
        var mapper = try fixture.pool.makeMapper()
        let first = try mapper.box(fixture.buffer(0, 1))
        let long = try fixture.pool.allocateCoherent(byteCount: 2 * segmentByteCount + 1)
        #expect(fixture.windowOffset(long.deviceRange) == 4096)
        #expect(fixture.pool.statistics.coherentSlotCount == 257)
        let aligned = try fixture.pool.allocateCoherent(
            byteCount: segmentByteCount + 1, alignment: segmentByteCount)
        #expect(fixture.windowOffset(aligned.deviceRange) == 3 * segmentByteCount)
        #expect(throws: PoolError.noSpace(slotCount: 385)) {
            _ = try fixture.pool.allocateCoherent(byteCount: 3 * segmentByteCount + 1)
        }
        mapper.end(first)
    }

    @Test func cachedRunsAreNotInTheWay() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        for box in try (0..<10).map({ _ in try mapper.box(fixture.buffer(0, 1)) }) {
            mapper.end(box)
        }
        let all = try fixture.pool.allocateCoherent(byteCount: segmentByteCount)
        #expect(fixture.windowOffset(all.deviceRange) == 0)
    }

    @Test(arguments: [
        (0, 4096), (-1, 4096), (.min, 4096), (1, 0), (1, -4096), (1, 3000), (1, 524_288),
        (1, .min), (256 * 2048 + 1, 4096), (.max, 4096),
    ])
    func impossibleAllocationsAreRefused(byteCount: Int, alignment: Int) throws {
        let pool = try PoolFixture(slotCount: 256).pool
        #expect(throws: PoolError.impossibleAllocation) {
            _ = try pool.allocateCoherent(byteCount: byteCount, alignment: alignment)
        }
        #expect(pool.statistics.usedSlotCount == 0)
    }

    @Test func longerThanAnAreaIsRefused() throws {
        let pool = try PoolFixture(slotCount: 512, areaCount: 2).pool
        #expect(throws: PoolError.impossibleAllocation) {
            _ = try pool.allocateCoherent(byteCount: 257 * 2048)
        }
        let area = try pool.allocateCoherent(byteCount: 256 * 2048)
        #expect(area.deviceRange.byteCount == 256 * 2048)
    }

    @Test(arguments: [ScrubPolicy.never, .onFree, .onOwnerChange])
    func droppingClearsWhereThePolicySaysSo(scrub: ScrubPolicy) throws {
        let fixture = try PoolFixture { $0.scrub = scrub }
        let offset: Int
        do {
            let ring = try fixture.pool.allocateCoherent(byteCount: 5000)
            offset = ring.memoryOffset
            ring.memory.fill(at: offset, byteCount: 5000, with: 9)
        }
        let bytes = fixture.window.bytes(at: offset, byteCount: 5000)
        #expect(bytes.allSatisfy { $0 == (scrub == .never ? 9 : 0) })
    }

    @Test func leakReportDoesNotNameAllocations() throws {
        let fixture = try PoolFixture()
        let ring = try fixture.pool.allocateCoherent(byteCount: 5000)
        #expect(fixture.pool.leakReport() == [])
        #expect(fixture.pool.extent(of: ring.deviceRange.address) == 0)
    }
}
