import SharedMemory
import Testing

@testable import SwiotlbPool

@Suite struct PoolStatisticsTests {
    @Test func everyEventIsCountedOnce() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var mapper = try fixture.pool.makeMapper(area: 0)
        let first = try mapper.box(fixture.buffer(0, 3000), .toDevice)
        let second = try mapper.box(fixture.buffer(8192, 5000), .fromDevice)
        let third = try mapper.box(fixture.buffer(16384, 100), .bidirectional)
        first.syncForDevice(&mapper, offset: 10, byteCount: 20)
        first.syncForCPU(&mapper, offset: 10, byteCount: 20)
        second.syncForCPU(&mapper, offset: 0, byteCount: 7)
        second.syncForDevice(&mapper, offset: 0, byteCount: 7)
        var expected = PoolStatistics()
        expected.slotCount = 256
        expected.usedSlotCount = 6
        expected.highWaterSlotCount = 6
        expected.mapCount = 3
        expected.copiedInByteCount = 3120
        expected.copiedOutByteCount = 7
        #expect(fixture.pool.statistics == expected)
        #expect(mapper.copiedByteCount == 3127)
        mapper.end(first)
        mapper.end(second, usedByteCount: 1000)
        mapper.end(third, usedByteCount: 101)
        expected.usedSlotCount = 0
        expected.unmapCount = 3
        expected.copiedOutByteCount = 1107
        expected.overreportCount = 1
        #expect(fixture.pool.statistics == expected)
    }

    @Test func spillsAndRefusalsAreCounted() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var mapper = try fixture.pool.makeMapper(area: 0)
        let boxes = try [
            mapper.box(fixture.buffer(0, segmentByteCount)),
            mapper.box(fixture.buffer(0, segmentByteCount)),
        ]
        _ = mapper.refusal(fixture.buffer(0, 1))
        _ = mapper.refusal(fixture.buffer(0, 0))
        _ = mapper.refusal(fixture.buffer(0, segmentByteCount + 1))
        _ = mapper.refusal(fixture.buffer((1 << 20) - 1, 2))
        let statistics = fixture.pool.statistics
        #expect(statistics.spillCount == 1)
        #expect(statistics.refusalCount == 4)
        for reason in [MapRefusal.Reason.exhausted, .empty, .tooLarge, .outsidePrivateMemory] {
            #expect(statistics.refusals[reason] == 1)
        }
        #expect(statistics.mapCount == 2)
        for box in boxes { mapper.end(box) }
    }

    @Test func countsOutliveTheMapper() throws {
        let fixture = try PoolFixture()
        let owner = try fixture.pool.makeOwner(name: "one")
        for round in 1...3 {
            do {
                var mapper = try fixture.pool.makeMapper(owner: owner)
                mapper.end(try mapper.box(fixture.buffer(0, 10)))
            }
            #expect(fixture.pool.statistics.mapCount == round)
            #expect(fixture.pool.statistics.copiedInByteCount == round * 10)
            #expect(fixture.pool.statistics(of: owner).mapCount == round)
        }
        // The place goes to another owner's mapper; the counts stay with the first.
        _ = try fixture.pool.makeMapper()
        #expect(fixture.pool.statistics(of: owner).mapCount == 3)
        #expect(fixture.pool.statistics(of: fixture.pool.defaultOwner).mapCount == 0)
        #expect(fixture.pool.statistics.mapCount == 3)
    }

    /// `io_tlb_used_hiwater`, written by `inc_used_and_hiwater`, and reset by a write of 0.
    @Test func highWaterMarkIsTheMostSinceTheReset() throws {
        let fixture = try PoolFixture()
        var mapper = try fixture.pool.makeMapper()
        let mark = { fixture.pool.statistics.highWaterSlotCount }
        let boxes = try (0..<10).map { _ in try mapper.box(fixture.buffer(0, 1)) }
        #expect(mark() == 10)
        for box in boxes[4...] { mapper.end(box) }
        #expect(mark() == 10)
        fixture.pool.resetHighWaterMarks()
        #expect(mark() == 4, "what is in use now")
        for box in boxes[..<4] { mapper.end(box) }
        #expect(mark() == 4, "and it stays")
        mapper.end(try mapper.box(fixture.buffer(0, 6 * 2048)))
        #expect(mark() == 6)
        fixture.pool.resetHighWaterMarks()
        #expect(mark() == 0)
    }

    @Test func resetIsOneOfMappersThatAreGoneToo() throws {
        let fixture = try PoolFixture()
        let owner = try fixture.pool.makeOwner(name: "one")
        do {
            var mapper = try fixture.pool.makeMapper(owner: owner)
            mapper.end(try mapper.box(fixture.buffer(0, 10_000)))
        }
        // Takes the place over.
        _ = try fixture.pool.makeMapper()
        #expect(fixture.pool.statistics(of: owner).highWaterSlotCount == 5)
        #expect(fixture.pool.statistics.highWaterSlotCount == 5)
        fixture.pool.resetHighWaterMarks()
        #expect(fixture.pool.statistics(of: owner).highWaterSlotCount == 0)
        #expect(fixture.pool.statistics.highWaterSlotCount == 0)
    }

    @Test func mappingsUnmappedByAnotherMapperAreCounted() throws {
        let fixture = try PoolFixture()
        var first = try fixture.pool.makeMapper()
        var second = try fixture.pool.makeMapper()
        let box = try first.box(fixture.buffer(0, 10_000))
        #expect(fixture.usedSlotCount == 5)
        second.end(box)
        let statistics = fixture.pool.statistics
        #expect(statistics.usedSlotCount == 0)
        #expect(statistics.mapCount == 1 && statistics.unmapCount == 1)
        #expect(statistics.highWaterSlotCount == 5)
        // The mark of the first mapper goes on from what it has now.
        first.end(try first.box(fixture.buffer(0, 1)))
        #expect(fixture.pool.statistics.highWaterSlotCount == 5)
    }

    @Test func refusalCountsAreKeptByReason() {
        var counts = RefusalCounts()
        for (number, reason) in MapRefusal.Reason.allCases.enumerated() { counts[reason] = number }
        var statistics = PoolStatistics()
        statistics.refusals = counts
        #expect(statistics.refusalCount == 28)
        #expect(counts[.othersWait] == 7)
    }
}
