import SharedMemory
import Testing

@testable import SwiotlbPool

@Suite struct BouncePoolTests {
    @Test(arguments: [
        (slots: 128, wanted: 4, got: 1), (256, 2, 2), (512, 2, 2), (640, 3, 3), (1, 8, 1),
        (129, 8, 2), (512, 0, 1), (512, -1, 1),
    ])
    func eachAreaHasAtLeastOneSegment(slots: Int, wanted: Int, got: Int) throws {
        let fixture = try PoolFixture(slotCount: slots, areaCount: wanted)
        #expect(fixture.pool.areaCount == got)
    }

    @Test(arguments: [(640, 3), (512, 4), (1024, 3), (200, 2), (1920, 7)])
    func areasCoverEverySegmentOnce(slotCount: Int, areaCount: Int) throws {
        let pool = try PoolFixture(slotCount: slotCount, areaCount: areaCount).pool
        let segments = (0..<pool.areaCount).flatMap { Array(pool.segments(ofArea: $0)) }
        #expect(segments == Array(0..<pool.bitmap.segmentCount))
    }

    @Test func areasAreGivenToMappersInTurn() throws {
        let pool = try PoolFixture(slotCount: 384, areaCount: 3).pool
        var areas: [Int] = []
        for _ in 0..<4 { areas.append(pool.makeMapper().area) }
        #expect(areas == [0, 1, 2, 0])
        #expect(pool.makeMapper(area: 2).area == 2)
    }

    @Test func bytesAfterTheLastWholeSlotAreNoSlots() throws {
        let window = try HostMemory.anonymous(byteCount: 4096 + 2047)
        let pool = BouncePool(
            window: window, at: GuestAddress(0), privateMemory: try MemoryMap([]), areaCount: 1)
        #expect(pool.statistics.slotCount == 2)
    }

    @Test func areaThatDoesNotExistTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = try PoolFixture(slotCount: 256, areaCount: 2).pool.makeMapper(area: 2)
        }
    }

    @Test func windowBetweenTwoSegmentsTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = try PoolFixture(windowAddress: 4096)
        }
    }

    @Test func windowWithoutASlotTraps() async {
        await #expect(processExitsWith: .failure) {
            let window = try HostMemory.anonymous(byteCount: 2047)
            _ = BouncePool(
                window: window, at: GuestAddress(0), privateMemory: try MemoryMap([]))
        }
    }

    @Test func mappingOfAnotherPoolTrapsWhenUnmapped() async {
        await #expect(processExitsWith: .failure) {
            let one = try PoolFixture()
            let other = try PoolFixture()
            var mapper = one.pool.makeMapper()
            var stranger = other.pool.makeMapper()
            stranger.end(try mapper.box(one.buffer(0, 1)))
        }
    }
}
