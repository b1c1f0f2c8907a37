import SharedMemory
import Testing

@testable import SwiotlbPool

/// How a pool is made, and what is refused then.
@Suite struct BouncePoolTests {
    private func makePool(
        byteCount: Int = segmentByteCount, at address: UInt64 = 0,
        _ configure: (inout PoolConfiguration) -> Void = { _ in }
    ) throws -> BouncePool {
        var configuration = PoolConfiguration()
        configure(&configuration)
        return try BouncePool(
            window: try HostMemory.anonymous(byteCount: byteCount), at: GuestAddress(address),
            privateMemory: try MemoryMap([]), configuration: configuration)
    }

    @Test(arguments: [1, 2047, 2048, segmentByteCount - 2048, segmentByteCount + 4096])
    func windowThatIsNotWholeSegmentsIsRefused(byteCount: Int) {
        #expect(throws: PoolError.notWholeSegments(segmentByteCount: segmentByteCount)) {
            try makePool(byteCount: byteCount)
        }
    }

    @Test(arguments: [1, 2048, 4096, 131072, UInt64.max])
    func windowThatDoesNotBeginAtASegmentIsRefused(address: UInt64) {
        #expect(throws: PoolError.misalignedWindow(segmentByteCount: segmentByteCount)) {
            try makePool(at: address)
        }
    }

    @Test(arguments: [1 << 63, UInt64.max - 262143])
    func windowAtTheEndOfTheAddressSpaceIsRefused(address: UInt64) {
        #expect(throws: PoolError.windowTooLarge) { try makePool(at: address) }
    }

    @Test func windowBelowTheMiddleOfTheAddressSpaceIsNot() throws {
        let address = (UInt64(1) << 63) - 262144
        let pool = try makePool(at: address)
        #expect(pool.windowAddress.rawValue == address)
    }

    @Test func moreSlotsThanATokenCanNameAreRefused() throws {
        let geometry = try PoolGeometry(slotByteCount: 512, segmentSlotCount: 64)
        // 2^16 slots 256 times are the limit; a segment more doubles the distance of extents.
        let most = (1 << 16) * 512
        #expect(throws: Never.self) {
            try makePool(byteCount: most) {
                $0.geometry = geometry
                $0.extentCountMax = 256
                $0.mapperCountMax = 1
            }
        }
        #expect(throws: PoolError.windowTooLarge) {
            try makePool(byteCount: most + geometry.segmentByteCount) {
                $0.geometry = geometry
                $0.extentCountMax = 256
            }
        }
    }

    @Test(arguments: [0, -1, 257, Int.max, Int.min])
    func impossibleNumberOfExtentsIsRefused(count: Int) {
        #expect(throws: PoolError.unsupportedConfiguration) {
            try makePool { $0.extentCountMax = count }
        }
    }

    @Test(arguments: [0, -1, 4097, Int.max, Int.min])
    func impossibleNumberOfMappersOrAreasIsRefused(count: Int) {
        #expect(throws: PoolError.unsupportedConfiguration) {
            try makePool { $0.mapperCountMax = count }
        }
        #expect(throws: PoolError.unsupportedConfiguration) {
            try makePool { $0.areaCount = count }
        }
    }

    @Test(arguments: [0, -1, Int.min])
    func impossibleNumberOfWaitersIsRefused(count: Int) {
        #expect(throws: PoolError.unsupportedConfiguration) {
            try makePool { $0.waiterCountMax = count }
        }
    }

    @Test func areasAreAsManyAsProcessorsAtMostOneASegment() throws {
        let small = try makePool()
        #expect(small.areaCount == 1)
        let large = try makePool(byteCount: 16 * segmentByteCount)
        #expect((1...16).contains(large.areaCount))
    }

    @Test func areasAreGivenToMappersInTurn() throws {
        let pool = try PoolFixture(slotCount: 384, areaCount: 3).pool
        var areas: [Int] = []
        for _ in 0..<4 { areas.append(try pool.makeMapper().area) }
        #expect(areas == [0, 1, 2, 0])
        // One that was asked for does not count.
        #expect(try pool.makeMapper(area: 2).area == 2)
        #expect(try pool.makeMapper().area == 1)
    }

    @Test(arguments: [-1, 2, Int.max, Int.min])
    func areaThatDoesNotExistIsRefused(area: Int) throws {
        let pool = try PoolFixture(slotCount: 256, areaCount: 2).pool
        #expect(throws: PoolError.noSuchArea(areaCount: 2)) {
            _ = try pool.makeMapper(area: area)
        }
    }

    @Test func ownerOfAnotherPoolIsRefused() throws {
        let pool = try PoolFixture().pool
        let other = try PoolFixture().pool
        let owner = try other.makeOwner(name: "theirs")
        #expect(throws: PoolError.foreignOwner) { _ = try pool.makeMapper(owner: owner) }
        #expect(throws: PoolError.foreignOwner) {
            _ = try pool.makeMapper(owner: other.defaultOwner)
        }
        #expect(try pool.makeMapper(owner: pool.defaultOwner).owner === pool.defaultOwner)
    }

    @Test func mappersBeyondTheLimitAreRefusedUntilOneIsGone() throws {
        let fixture = try PoolFixture { $0.mapperCountMax = 2 }
        var first = try fixture.pool.makeMapper()
        let left: MappingBox
        do {
            var second = try fixture.pool.makeMapper()
            #expect(throws: PoolError.tooManyMappers(maximum: 2)) {
                _ = try fixture.pool.makeMapper()
            }
            left = try second.box(fixture.buffer(0, 1))
        }
        // It is gone, but left a mapping behind, which is counted by its place.
        #expect(throws: PoolError.tooManyMappers(maximum: 2)) {
            _ = try fixture.pool.makeMapper()
        }
        #expect(fixture.usedSlotCount == 1)
        first.end(left)
        var third = try fixture.pool.makeMapper()
        third.end(try third.box(fixture.buffer(0, 1)))
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.pool.statistics.mapCount == 2)
        #expect(fixture.pool.statistics.unmapCount == 2)
    }

    @Test func cachedRunsOfAMapperThatIsGoneAreFree() throws {
        let fixture = try PoolFixture(slotCount: 128)
        do {
            var mapper = try fixture.pool.makeMapper()
            for box in try (0..<5).map({ _ in try mapper.box(fixture.buffer(0, 5000)) }) {
                mapper.end(box)
            }
        }
        #expect((0..<128).allSatisfy { fixture.pool.allocator.bitmap.isFree($0) })
    }

    @Test func refusalsHaveADescription() {
        let errors: [PoolError] = [
            .unsupportedGeometry, .unsupportedConfiguration, .notWholeSegments(segmentByteCount: 7),
            .misalignedWindow(segmentByteCount: 7), .windowTooLarge,
            .extentLengthDiffers(expectedByteCount: 7), .tooManyExtents(maximum: 7), .noSuchExtent,
            .tooManyMappers(maximum: 7), .noSuchArea(areaCount: 7), .invalidQuota, .foreignOwner,
            .noSpace(slotCount: 7), .impossibleAllocation,
        ]
        #expect(Set(errors.map(\.description)).count == errors.count)
    }
}
