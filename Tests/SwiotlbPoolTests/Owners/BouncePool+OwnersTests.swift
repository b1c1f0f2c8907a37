import SharedMemory
import Testing

@testable import SwiotlbPool

/// Quotas, statistics and reports by owner (invariants 22 and 23 of swiotlb.md).
@Suite struct BouncePoolOwnersTests {
    @Test(arguments: [0, -1, Int.min])
    func quotaBelowASlotIsRefused(quota: Int) throws {
        let pool = try PoolFixture().pool
        #expect(throws: PoolError.invalidQuota) {
            _ = try pool.makeOwner(name: "none", quotaSlotCount: quota)
        }
    }

    @Test func moreOwnersThanThereAreNumbersForAreRefused() throws {
        let pool = try PoolFixture().pool
        for _ in 1..<65000 { _ = try pool.makeOwner(name: "") }
        #expect(throws: PoolError.unsupportedConfiguration) { _ = try pool.makeOwner(name: "") }
    }

    @Test func ownerThatWithholdsCompletionsExhaustsItsOwnQuotaOnly() throws {
        let fixture = try PoolFixture()
        let greedy = try fixture.pool.makeOwner(name: "greedy", quotaSlotCount: 100)
        let other = try fixture.pool.makeOwner(name: "other", quotaSlotCount: 156)
        var first = try fixture.pool.makeMapper(owner: greedy)
        var second = try fixture.pool.makeMapper(owner: greedy)
        var third = try fixture.pool.makeMapper(owner: other)
        var held: [MappingBox] = []
        for _ in 0..<25 {
            held.append(try first.box(fixture.buffer(0, 4096)))
            held.append(try second.box(fixture.buffer(0, 4096)))
        }
        let refusal = MapRefusal.quotaReached(quotaSlotCount: 100, usedSlotCount: 100)
        #expect(first.refusal(fixture.buffer(0, 1)) == refusal)
        #expect(second.refusal(fixture.buffer(0, 1)) == refusal)
        let rest = try (0..<156).map { _ in try third.box(fixture.buffer(0, 1)) }
        #expect(third.refusal(fixture.buffer(0, 1))?.reason == .quotaReached)
        // A mapping of one mapper ended by another, of another owner even, is the first's again.
        third.end(held.removeLast())
        #expect(first.refusal(fixture.buffer(0, 4097))?.reason == .quotaReached)
        held.append(try first.box(fixture.buffer(0, 4096)))
        for box in held { first.end(box) }
        for box in rest { third.end(box) }
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.pool.statistics(of: greedy).slotCount == 100)
        #expect(fixture.pool.statistics(of: greedy).refusals[.quotaReached] == 3)
    }

    @Test func quotaIsGivenBackWhereThePoolHasNoRun() throws {
        let fixture = try PoolFixture(slotCount: 128)
        let owner = try fixture.pool.makeOwner(name: "one", quotaSlotCount: 64)
        var filler = try fixture.pool.makeMapper()
        var mapper = try fixture.pool.makeMapper(owner: owner)
        let all = try filler.box(fixture.buffer(0, segmentByteCount))
        for _ in 0..<3 {
            #expect(
                mapper.refusal(fixture.buffer(0, 131_072)) == .exhausted(freeSlotCount: 0))
        }
        filler.end(all)
        mapper.end(try mapper.box(fixture.buffer(0, 131_072)))
    }

    @Test func quotaCoversQuarantineAndEndsWithIt() throws {
        let fixture = try PoolFixture()
        let owner = try fixture.pool.makeOwner(name: "one", quotaSlotCount: 4)
        var mapper = try fixture.pool.makeMapper(owner: owner)
        let first = mapper.quarantine(try mapper.map(fixture.buffer(0, 4096), .fromDevice))
        _ = mapper.quarantine(try mapper.map(fixture.buffer(0, 4096), .fromDevice))
        #expect(mapper.refusal(fixture.buffer(0, 1))?.reason == .quotaReached)
        try mapper.release(quarantined: first)
        mapper.end(try mapper.box(fixture.buffer(0, 4096)))
        #expect(fixture.pool.releaseQuarantine(of: owner) == 1)
        mapper.end(try mapper.box(fixture.buffer(0, 8192)))
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func statisticsAreToldByOwner() throws {
        let fixture = try PoolFixture()
        let owner = try fixture.pool.makeOwner(name: "one")
        var mine = try fixture.pool.makeMapper(owner: owner)
        var other = try fixture.pool.makeMapper()
        let box = try mine.box(fixture.buffer(0, 10_000), .bidirectional)
        let rest = try other.box(fixture.buffer(0, 100))
        let statistics = fixture.pool.statistics(of: owner)
        #expect(statistics.mapCount == 1 && statistics.usedSlotCount == 5)
        #expect(statistics.copiedInByteCount == 10_000 && statistics.slotCount == 256)
        #expect(fixture.pool.statistics(of: fixture.pool.defaultOwner).usedSlotCount == 1)
        // Ended by another owner's mapper, the slots are gone from the owner that had them.
        other.end(box)
        #expect(fixture.pool.statistics(of: owner).usedSlotCount == 0)
        #expect(fixture.pool.statistics(of: fixture.pool.defaultOwner).usedSlotCount == 1)
        mine.end(rest)
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func leakReportNamesEveryLiveMapping() throws {
        let fixture = try PoolFixture()
        let owner = try fixture.pool.makeOwner(name: "leaker")
        var mapper = try fixture.pool.makeMapper(
            owner: owner, constraints: DMAConstraints(minimumAlignmentMask: 4095))
        var other = try fixture.pool.makeMapper()
        let mapped = try mapper.box(fixture.buffer(100, 5000), .fromDevice)
        let parked = try mapper.map(fixture.buffer(8192, 2048), .toDevice)
        let parkedDevice = parked.deviceRange
        let token = mapper.park(parked)
        let given = try mapper.map(fixture.buffer(0, 1), .bidirectional)
        let givenDevice = given.deviceRange
        let quarantined = mapper.quarantine(given)
        let rest = try other.box(fixture.buffer(0, 100))
        let report = fixture.pool.leakReport(of: owner)
        let byAddress = report.sorted { $0.deviceRange.address < $1.deviceRange.address }
        #expect(report.count == 3)
        #expect(report.allSatisfy { $0.ownerName == "leaker" && $0.ageMax >= .zero })
        #expect(Set(report.map(\.deviceRange)) == [mapped.device, parkedDevice, givenDevice])
        let first = byAddress.first { $0.deviceRange == mapped.device }
        #expect(first?.buffer == fixture.buffer(100, 5000) && first?.direction == .fromDevice)
        #expect(first?.slotCount == 3 && first?.isQuarantined == false)
        #expect(report.filter(\.isQuarantined).map(\.deviceRange) == [givenDevice])
        #expect(fixture.pool.leakReport().count == 4)
        #expect(fixture.pool.oldestMapping(of: owner) != nil)
        mapper.end(mapped)
        mapper.unmap(try mapper.redeem(token))
        try mapper.release(quarantined: quarantined)
        #expect(fixture.pool.leakReport(of: owner) == [])
        #expect(fixture.pool.oldestMapping(of: owner) == nil)
        other.end(rest)
        #expect(fixture.pool.leakReport() == [])
    }

    @Test func oldestMappingIsTheOneOfTheEarliestTick() throws {
        let fixture = try PoolFixture()
        var mapper = try fixture.pool.makeMapper()
        // As ticks would, without waiting for them.
        fixture.pool.gate.setEpoch(0)
        let young = try mapper.box(fixture.buffer(0, 1))
        fixture.pool.gate.setEpoch(UInt32(bitPattern: -1_000_000))
        let old = try mapper.box(fixture.buffer(100, 1))
        let report = fixture.pool.leakReport()
        #expect(report.map(\.buffer) == [old.buffer, young.buffer])
        #expect(fixture.pool.oldestMapping()?.buffer == old.buffer)
        #expect(report[0].ageMax - report[1].ageMax == .milliseconds(1_000_000))
        mapper.end(young)
        mapper.end(old)
    }
}
