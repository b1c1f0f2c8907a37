import BasicContainers
import SharedMemory
import Testing

@testable import SwiotlbPool

/// Every way in which slots become free serves those who wait.
@Suite struct WaitQueueServiceTests {
    let log = OutcomeLog()

    @Test func unmapByAnotherMapperServes() throws {
        let fixture = try PoolFixture(slotCount: 256, areaCount: 2)
        var mapper = try fixture.pool.makeMapper(area: 0)
        var other = try fixture.pool.makeMapper(area: 1)
        let boxes = fixture.fill(&mapper, runsOf: 128)
        try fixture.reserve(1, slots: 128, for: mapper, log)
        other.end(boxes[0])
        #expect(log.told == [.granted(1)])
        mapper.end(boxes[1])
        mapper.end(try mapper.mapGranted(1, log))
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func runsThatMappersHaveCachedAreCollected() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        // All slots are in the mapper's cache.
        for box in fixture.fill(&mapper, runsOf: 16) { mapper.end(box) }
        try fixture.reserve(1, slots: 128, for: mapper, log)
        #expect(log.told == [.granted(1)])
        mapper.end(try mapper.mapGranted(1, log))
    }

    @Test func mapperThatIsDroppedServes() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 64)
        try fixture.reserve(1, slots: 128, for: mapper, log)
        mapper.end(boxes[0])
        try dropAfterUnmap(boxes[1], fixture)
        #expect(log.told == [.granted(1)])
        mapper.end(try mapper.mapGranted(1, log))
    }

    private func dropAfterUnmap(_ box: MappingBox, _ fixture: PoolFixture) throws {
        var mapper = try fixture.pool.makeMapper()
        mapper.end(box)
    }

    @Test(arguments: [false, true])
    func endOfAQuarantineServes(byOwner: Bool) throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let token = mapper.quarantine(try mapper.map(fixture.slots(128), .toDevice))
        try fixture.reserve(1, slots: 1, for: mapper, log)
        #expect(log.told == [])
        if byOwner {
            #expect(fixture.pool.releaseQuarantine(of: mapper.owner) == 1)
        } else {
            try mapper.release(quarantined: token)
        }
        #expect(log.told == [.granted(1)])
        mapper.end(try mapper.mapGranted(1, log))
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func coherentAllocationThatIsDroppedServes() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        try reserveBehindAnAllocation(fixture, mapper)
        #expect(log.told == [.granted(1)])
        mapper.end(try mapper.mapGranted(1, log))
        #expect(fixture.usedSlotCount == 0)
    }

    private func reserveBehindAnAllocation(
        _ fixture: PoolFixture, _ mapper: borrowing BounceMapper
    ) throws {
        let ring = try fixture.pool.allocateCoherent(byteCount: 128 * slotByteCount)
        try fixture.reserve(1, slots: 128, for: mapper, log)
        #expect(log.told == [])
        #expect(ring.memoryOffset == 0)
    }

    @Test func newExtentServes() throws {
        let fixture = try PoolFixture(slotCount: 128) { $0.extentCountMax = 2 }
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 128)
        try fixture.reserve(1, slots: 128, for: mapper, log)
        try fixture.pool.addExtent(HostMemory.anonymous(byteCount: fixture.window.byteCount))
        #expect(log.told == [.granted(1)])
        let box = try mapper.mapGranted(1, log)
        #expect(box.device.address == fixture.pool.address(ofExtent: 1))
        for box in boxes + [box] { mapper.end(box) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func drainThatIsTakenBackServes() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 64)
        mapper.end(boxes[0])
        #expect(try fixture.pool.drain(extent: 0) == 64)
        try fixture.reserve(1, slots: 64, for: mapper, log)
        #expect(log.told == [])
        try fixture.pool.cancelDrain(extent: 0)
        #expect(log.told == [.granted(1)])
        mapper.end(try mapper.mapGranted(1, log))
        mapper.end(boxes[1])
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func listThatIsRolledBackServes() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let owner = try fixture.pool.makeOwner(name: "limited", quotaSlotCount: 128)
        var limited = try fixture.pool.makeMapper(owner: owner)
        let boxes = fixture.fill(&mapper, runsOf: 64)
        mapper.end(boxes[0])
        // Takes the 64 free slots, finds no more, and gives them back.
        let refusal = limited.listRefusal([
            fixture.slots(64), fixture.slots(64),
        ])
        #expect(refusal?.isTemporary == true)
        try fixture.reserve(1, slots: 64, for: limited, log)
        #expect(log.told == [.granted(1)])
        limited.end(try limited.mapGranted(1, log))
        mapper.end(boxes[1])
        #expect(fixture.usedSlotCount == 0)
        #expect(fixture.pool.statistics(of: owner).usedSlotCount == 0)
    }

    @Test func bodyMayReserveAndCancel() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var mapper = try fixture.pool.makeMapper()
        let boxes = fixture.fill(&mapper, runsOf: 128)
        let request = try mapper.request(for: fixture.slots(100), .toDevice)
        let (pool, log) = (fixture.pool, log)
        try pool.reserve(request) { outcome in
            guard case .granted(let reservation) = outcome else { return }
            // 28 slots are left, so this one waits until the first is cancelled.
            _ = try? pool.reserve(request, log.body(2))
            reservation.cancel()
        }
        for box in boxes { mapper.end(box) }
        #expect(log.told == [.granted(2)])
        mapper.end(try mapper.mapGranted(2, log))
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func queueOfReservationsThatAreAllDroppedIsServedInConstantStack() async {
        // Each dropped reservation serves the next one.
        await #expect(processExitsWith: .success) {
            let fixture = try PoolFixture(slotCount: 128) { $0.waiterCountMax = 20_000 }
            var mapper = try fixture.pool.makeMapper()
            let box = try mapper.box(fixture.slots(128))
            let request = try mapper.request(for: fixture.slots(128), .toDevice)
            for _ in 0..<20_000 { try fixture.pool.reserve(request) { _ in } }
            mapper.end(box)
            precondition(fixture.usedSlotCount == 0)
            precondition(fixture.pool.statistics.grantedCount == 20_000)
        }
    }
}

extension BounceMapper {
    /// Why a list was not mapped; one mapped by mistake is unmapped.
    mutating func listRefusal(_ buffers: [GuestRange]) -> MapRefusal? {
        var mappings = RigidArray<DMAMapping>(capacity: 8)
        do throws(MapRefusal) {
            try map(buffers.span, .toDevice, into: &mappings)
        } catch {
            return error
        }
        while !mappings.isEmpty { unmap(mappings.removeLast()) }
        return nil
    }
}
