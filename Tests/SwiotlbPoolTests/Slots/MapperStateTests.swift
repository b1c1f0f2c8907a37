import Synchronization
import Testing

@testable import SwiotlbPool

@Suite struct MapperStateTests {
    @Test func mappingsOfOneMapperAreCounted() {
        let counters = MapperState()
        counters.didMap(slotCount: 3)
        counters.didMap(slotCount: 4)
        #expect(counters.liveSlotCount == 7)
        counters.didUnmap(slotCount: 3)
        counters.didMap(slotCount: 2)
        #expect(counters.liveSlotCount == 6)
        #expect(counters.highWaterSlotCount.current == 7)
        #expect(counters.mapCount.current == 3 && counters.unmapCount.current == 1)
    }

    @Test func slotsThatOthersUnmappedAreNotLive() {
        let counters = MapperState()
        counters.didMap(slotCount: 5)
        counters.foreignUnmappedSlotCount.wrappingAdd(5, ordering: .relaxed)
        #expect(counters.liveSlotCount == 0)
        counters.didMap(slotCount: 2)
        #expect(counters.liveSlotCount == 2)
        #expect(counters.highWaterSlotCount.current == 5)
        counters.didMap(slotCount: 4)
        #expect(counters.liveSlotCount == 6)
        #expect(counters.highWaterSlotCount.current == 6)
    }

    @Test func countersAreAddedToATotal() {
        let counters = MapperState()
        counters.didMap(slotCount: 5)
        counters.spillCount.add(1)
        counters.copiedInByteCount.add(2)
        counters.copiedOutByteCount.add(3)
        counters.scrubbedByteCount.add(4)
        counters.overreportCount.add(6)
        for index in 0..<8 { counters.refusals[index].add(index) }
        var total = PoolStatistics()
        for _ in 0..<2 { counters.add(to: &total) }
        var expected = PoolStatistics()
        expected.usedSlotCount = 10
        expected.highWaterSlotCount = 10
        expected.mapCount = 2
        expected.spillCount = 2
        expected.copiedInByteCount = 4
        expected.copiedOutByteCount = 6
        expected.scrubbedByteCount = 8
        expected.overreportCount = 12
        for reason in MapRefusal.Reason.allCases {
            expected.refusals[reason] = 2 * reason.rawValue
        }
        #expect(total == expected)
        counters.reset()
        var none = PoolStatistics()
        counters.add(to: &none)
        #expect(none == PoolStatistics())
    }
}
