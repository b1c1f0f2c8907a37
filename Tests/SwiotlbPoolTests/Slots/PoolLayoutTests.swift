import Testing

@testable import SwiotlbPool

@Suite struct PoolLayoutTests {
    private func layout(
        slots: Int, areas: Int, extents: Int = 1, segmentsPerMapping: Int = 1
    ) throws -> PoolLayout {
        PoolLayout(
            geometry: try PoolGeometry(segmentsPerMapping: segmentsPerMapping),
            extentByteCount: slots * 2048, extentCountMax: extents, areaCount: areas)
    }

    @Test(arguments: [
        (slots: 128, wanted: 4, got: 1), (256, 2, 2), (512, 2, 2), (640, 3, 3), (1024, 4096, 8),
    ])
    func eachAreaHasAtLeastOneSegment(slots: Int, wanted: Int, got: Int) throws {
        #expect(try layout(slots: slots, areas: wanted).areaCount == got)
    }

    @Test(arguments: [(4, 640, 1), (2, 640, 2), (2, 1280, 4), (8, 512, 1)])
    func eachAreaHasRoomForTheLongestMapping(perMapping: Int, slots: Int, got: Int) throws {
        let layout = try layout(slots: slots, areas: 4, segmentsPerMapping: perMapping)
        #expect(layout.areaCount == got)
    }

    /// Areas as in Linux's `swiotlb_init_io_tlb_pool`, but of any number.
    @Test(arguments: [(640, 3), (512, 4), (1024, 3), (256, 2), (1920, 7)])
    func areasCoverEverySegmentOnce(slotCount: Int, areaCount: Int) throws {
        let layout = try layout(slots: slotCount, areas: areaCount)
        let segments = (0..<layout.areaCount).flatMap { Array(layout.segments(ofArea: $0)) }
        #expect(segments == Array(0..<slotCount / 128))
        let slots = (0..<layout.areaCount).flatMap { Array(layout.slots(ofArea: $0)) }
        #expect(slots == Array(0..<slotCount))
        #expect(
            (0..<layout.areaCount).map { layout.segments(ofArea: $0).count }.max()
                == layout.segmentsPerShardMax)
    }

    @Test(arguments: [(128, 128), (256, 256), (384, 512), (640, 1024), (1152, 2048)])
    func extentsLieAtMultiplesOfAPowerOfTwo(slotCount: Int, distance: Int) throws {
        let layout = try layout(slots: slotCount, areas: 2, extents: 3)
        #expect(1 << layout.extentShift == distance)
        #expect(layout.slots(ofExtent: 2) == 2 * distance..<2 * distance + slotCount)
        #expect(layout.slotLimit == 3 * distance)
        #expect(layout.segmentStride * 128 == distance)
    }

    @Test func everySegmentHasAShardAndAPlaceInItOfItsOwn() throws {
        let layout = try layout(slots: 1152, areas: 4, extents: 3)
        var places = Set<[Int]>()
        for extent in 0..<3 {
            for area in 0..<layout.areaCount {
                for segment in layout.segments(ofArea: area) {
                    let (shard, inShard) = layout.shard(
                        ofSegment: extent * layout.segmentStride + segment)
                    #expect(shard == extent * layout.areaCount + area)
                    #expect(inShard == segment - layout.segments(ofArea: area).lowerBound)
                    #expect(places.insert([shard, inShard]).inserted)
                }
            }
        }
        #expect(places.count == 27)
    }

    @Test func longestRunLiesInAnAreaAndBetweenBoundaries() throws {
        let plain = try layout(slots: 640, areas: 5)
        #expect(plain.runSlotCountMax(boundary: .max, base: 0) == 128)
        let three = try layout(slots: 640, areas: 1, segmentsPerMapping: 3)
        #expect(three.runSlotCountMax(boundary: .max, base: 128) == 384)
        // From segment 1 on: 1 | 2 3 | 4 5.
        #expect(three.runSlotCountMax(boundary: 256, base: 128) == 256)
        // 3 | 4 5 6 7: three fit.
        #expect(three.runSlotCountMax(boundary: 512, base: 384) == 384)
        // 2 3 | 4 5 6
        #expect(three.runSlotCountMax(boundary: 512, base: 256) == 384)
        let short = try layout(slots: 256, areas: 1, segmentsPerMapping: 3)
        #expect(short.runSlotCountMax(boundary: .max, base: 0) == 256)
        #expect(short.runSlotCountMax(boundary: 512, base: 384) == 128)
    }
}
