import AllocationCounter
import BasicContainers
import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// The data path never allocates. Counted in an optimised build, as `make test` makes.
/// (Maps that are refused are not counted: Swift Testing's hook allocates for each error thrown.)
@Suite(
    .enabled(if: allocation_counter_works(), "allocations cannot be counted here"),
    .enabled(if: isOptimizedBuild, "an unoptimised build allocates where the code does not"))
struct BounceMapperAllocationTests {
    private static let cycleCount = 10_000
    private static let directions: [DMADirection] = [.toDevice, .fromDevice, .bidirectional]

    /// How often `cycle` allocates in 10,000 calls, after some to warm up.
    private func allocationCount(_ cycle: (Int) throws -> Void) rethrows -> UInt64 {
        for number in 0..<100 { try cycle(number) }
        let before = allocation_counter_read()
        for number in 0..<Self.cycleCount { try cycle(number) }
        return allocation_counter_read() - before
    }

    /// Maps, syncs and unmaps, several at once, so that caches fill and overflow.
    private func cycle(
        _ number: Int, _ fixture: PoolFixture, _ mapper: inout BounceMapper
    ) throws {
        let direction = Self.directions[number % 3]
        let first = try mapper.map(fixture.buffer(number % 5000, 1 + number % 9000), direction)
        let second = try mapper.map(
            fixture.buffer(20_000 + number % 7, 1 + number % 66_000), direction)
        mapper.syncForDevice(first, offset: 0, byteCount: 1)
        mapper.syncForCPU(first, offset: 0, byteCount: 1)
        mapper.unmap(first, usedByteCount: number % 9000)
        mapper.unmap(second)
    }

    @Test(
        arguments: [CopyBackPolicy.clamped, .prefill], [ScrubPolicy.never, .onFree, .onOwnerChange])
    func mapSyncAndUnmap(copyBack: CopyBackPolicy, scrub: ScrubPolicy) throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2) {
            $0.copyBack = copyBack
            $0.scrub = scrub
        }
        var mapper = try fixture.pool.makeMapper()
        let count = try allocationCount { try cycle($0, fixture, &mapper) }
        #expect(count == 0)
        #expect(fixture.usedSlotCount == 0)
    }

    @Test(arguments: [
        DMAConstraints(minimumAlignmentMask: 4095), DMAConstraints(allocationAlignmentMask: 4095),
        DMAConstraints(boundaryMask: 131_071),
    ])
    func mapUnderConstraints(constraints: DMAConstraints) throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var mapper = try fixture.pool.makeMapper(constraints: constraints)
        let count = try allocationCount { try cycle($0, fixture, &mapper) }
        #expect(count == 0)
    }

    @Test func mapWithAQuota() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        let owner = try fixture.pool.makeOwner(name: "limited", quotaSlotCount: 64)
        var mapper = try fixture.pool.makeMapper(owner: owner)
        let count = try allocationCount { try cycle($0, fixture, &mapper) }
        #expect(count == 0)
        #expect(fixture.pool.statistics(of: owner).usedSlotCount == 0)
    }

    @Test func lists() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var mapper = try fixture.pool.makeMapper()
        var mappings = RigidArray<DMAMapping>(capacity: 8)
        // One mapping where it fits; more where the list is longer than a segment.
        let lists = [
            [fixture.buffer(1, 3000), fixture.buffer(9000, 5), fixture.buffer(20_000, 9000)],
            [fixture.buffer(0, 200_000), fixture.buffer(300_000, 200_000)],
        ]
        let count = try allocationCount { number in
            try mapper.cycle(lists[number % 2], Self.directions[number % 3], &mappings)
        }
        #expect(count == 0)
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func parkAndRedeem() throws {
        let fixture = try PoolFixture(slotCount: 256)
        var mapper = try fixture.pool.makeMapper()
        let count = try allocationCount { number in
            let mapping = try mapper.map(fixture.buffer(0, 1 + number % 9000), .bidirectional)
            let token = mapper.park(mapping)
            mapper.unmap(try mapper.redeem(token))
        }
        #expect(count == 0)
    }

    @Test func quarantineAndRelease() throws {
        let fixture = try PoolFixture(slotCount: 256)
        var mapper = try fixture.pool.makeMapper()
        let count = try allocationCount { number in
            let mapping = try mapper.map(fixture.buffer(0, 1 + number % 9000), .bidirectional)
            if number % 2 == 0 {
                try mapper.release(quarantined: mapper.quarantine(mapping))
            } else {
                let token = mapper.park(mapping)
                try mapper.quarantine(token)
                try mapper.release(quarantined: token)
            }
        }
        #expect(count == 0)
        #expect(fixture.usedSlotCount == 0)
    }

    /// One mapper frees what another has mapped, with and without a quota.
    @Test(arguments: [nil, 200])
    func freesOfAnotherMappersMappings(quota: Int?) throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        let owner = try fixture.pool.makeOwner(name: "maker", quotaSlotCount: quota)
        var maker = try fixture.pool.makeMapper(area: 0, owner: owner)
        var other = try fixture.pool.makeMapper(area: 1)
        let count = try allocationCount { number in
            let mapping = try maker.map(fixture.buffer(0, 1 + number % 200_000), .fromDevice)
            other.unmap(mapping)
        }
        #expect(count == 0)
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.pool.statistics(of: owner).usedSlotCount == 0)
    }

    /// The own area is full, so that every map spills; and what is free is in another mapper's
    /// cache, so that every map collects it.
    @Test func spillsAndCollectedCaches() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var first = try fixture.pool.makeMapper(area: 0)
        var second = try fixture.pool.makeMapper(area: 1)
        let held = try first.map(fixture.buffer(0, segmentByteCount), .toDevice)
        let count = try allocationCount { number in
            // Leaves runs of the other area in its cache.
            for _ in 0..<2 {
                let mapping = try second.map(fixture.buffer(0, 60_000), .toDevice)
                let other = try second.map(fixture.buffer(0, 60_000), .toDevice)
                second.unmap(mapping)
                second.unmap(other)
            }
            let mapping = try first.map(fixture.buffer(0, segmentByteCount), .fromDevice)
            first.unmap(mapping, usedByteCount: 100)
        }
        #expect(count == 0)
        #expect(fixture.pool.statistics.spillCount >= 10_000)
        first.unmap(held)
    }

    @Test func runsOfManySegments() throws {
        let geometry = try PoolGeometry(segmentsPerMapping: 4)
        let fixture = try PoolFixture(slotCount: 1024, memoryByteCount: 2 << 20) {
            $0.geometry = geometry
        }
        var mapper = try fixture.pool.makeMapper()
        let count = try allocationCount { number in
            mapper.unmap(
                try mapper.map(fixture.buffer(0, 1 + number * 101 % 1_000_000), .fromDevice),
                usedByteCount: 10)
        }
        #expect(count == 0)
    }

    /// Adding and draining allocates; what mappers do about it does not, but for the new list of
    /// extents that each learns once.
    @Test func mapAcrossExtents() throws {
        let fixture = try PoolFixture(slotCount: 128) { $0.extentCountMax = 2 }
        var mapper = try fixture.pool.makeMapper()
        try fixture.pool.addExtent(HostMemory.anonymous(byteCount: fixture.window.byteCount))
        let held = try mapper.map(fixture.buffer(0, segmentByteCount), .toDevice)
        let count = try allocationCount { number in
            let mapping = try mapper.map(fixture.buffer(0, 1 + number % 200_000), .fromDevice)
            mapper.unmap(mapping, usedByteCount: 10)
        }
        #expect(count == 0)
        mapper.unmap(held)
    }
}

extension BounceMapper {
    /// Maps, syncs and unmaps a list. (Swift 6.3.1 crashes where this is part of the test's
    /// closure.)
    @inline(never)
    fileprivate mutating func cycle(
        _ list: [GuestRange], _ direction: DMADirection, _ mappings: inout RigidArray<DMAMapping>
    ) throws(MapRefusal) {
        try map(list.span, direction, into: &mappings)
        while !mappings.isEmpty {
            let mapping = mappings.removeLast()
            syncForCPU(mapping, offset: 0, byteCount: mapping.byteCount)
            unmap(mapping)
        }
    }
}
