import SharedMemory
import Testing

@testable import SwiotlbPool

@Suite struct PoolStatisticsTests {
    @Test func everyEventIsCountedOnce() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var mapper = fixture.pool.makeMapper(area: 0)
        let first = try mapper.box(fixture.buffer(0, 3000), .toDevice)
        let second = try mapper.box(fixture.buffer(8192, 5000), .fromDevice)
        let third = try mapper.box(fixture.buffer(16384, 100), .bidirectional)
        first.syncForDevice(&mapper, offset: 10, byteCount: 20)
        first.syncForCPU(&mapper, offset: 10, byteCount: 20)
        second.syncForCPU(&mapper, offset: 0, byteCount: 7)
        second.syncForDevice(&mapper, offset: 0, byteCount: 7)
        let used = first.slots.count + second.slots.count + third.slots.count
        #expect(
            fixture.pool.statistics
                == PoolStatistics(
                    slotCount: 256, usedSlotCount: used, mapCount: 3, copiedInByteCount: 3120,
                    copiedOutByteCount: 7))
        mapper.end(first)
        mapper.end(second, usedByteCount: 1000)
        mapper.end(third)
        #expect(
            fixture.pool.statistics
                == PoolStatistics(
                    slotCount: 256, mapCount: 3, unmapCount: 3, copiedInByteCount: 3120,
                    copiedOutByteCount: 1107))
    }

    @Test func spillsAndRefusalsAreCounted() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var mapper = fixture.pool.makeMapper(area: 0)
        let boxes = try [
            mapper.box(fixture.buffer(0, segmentByteCount)),
            mapper.box(fixture.buffer(0, segmentByteCount)),
        ]
        _ = mapper.refusal(fixture.buffer(0, 1))
        // Not for want of slots, so not counted as a refusal.
        _ = mapper.refusal(fixture.buffer(0, segmentByteCount + 1))
        _ = mapper.refusal(fixture.buffer((1 << 20) - 1, 2))
        let statistics = fixture.pool.statistics
        #expect(statistics.spillCount == 1)
        #expect(statistics.refusalCount == 1)
        #expect(statistics.mapCount == 2)
        for box in boxes { mapper.end(box) }
    }

    @Test func countsOutliveTheMapper() throws {
        let fixture = try PoolFixture()
        for round in 1...3 {
            do {
                var mapper = fixture.pool.makeMapper()
                mapper.end(try mapper.box(fixture.buffer(0, 10)))
            }
            #expect(fixture.pool.statistics.mapCount == round)
            #expect(fixture.pool.statistics.copiedInByteCount == round * 10)
        }
    }
}
