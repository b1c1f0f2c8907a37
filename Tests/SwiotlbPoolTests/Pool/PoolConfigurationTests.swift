import SharedMemory
import Testing

@testable import SwiotlbPool

/// The policies: how much is copied back (invariants 10, 13 and 18 of swiotlb.md), and when bytes
/// are cleared (14 and 22).
@Suite struct PoolConfigurationTests {
    private func makeFixture(
        _ copyBack: CopyBackPolicy = .clamped, _ scrub: ScrubPolicy = .never
    ) throws -> PoolFixture {
        let fixture = try PoolFixture {
            $0.copyBack = copyBack
            $0.scrub = scrub
        }
        fixture.window.fill(at: 0, byteCount: fixture.window.byteCount, with: 0xcc)
        fixture.memory.fill(at: 0, byteCount: 1 << 20, with: 0x11)
        return fixture
    }

    /// Maps 3000 bytes at 100, has the device write `value` over the first 1000, unmaps.
    private func transfer(
        _ fixture: PoolFixture, used: Int, _ direction: DMADirection = .fromDevice,
        map mapAttributes: MapAttributes = [], unmap unmapAttributes: MapAttributes = []
    ) throws -> (window: [UInt8], memory: [UInt8]) {
        var mapper = try fixture.pool.makeMapper()
        let mapping = try mapper.map(fixture.buffer(100, 3000), direction, mapAttributes)
        let offset = fixture.windowOffset(mapping.deviceRange)
        let window = fixture.window.bytes(at: offset, byteCount: 3000)
        fixture.window.fill(at: offset, byteCount: 1000, with: 0x77)
        mapper.unmap(mapping, usedByteCount: used, unmapAttributes)
        let all = fixture.memory.bytes(at: 0, byteCount: 4000)
        #expect(all[..<100].allSatisfy { $0 == 0x11 } && all[3100...].allSatisfy { $0 == 0x11 })
        return (window, Array(all[100..<3100]))
    }

    private func bytes(_ parts: (UInt8, Int)...) -> [UInt8] {
        parts.flatMap { [UInt8](repeating: $0.0, count: $0.1) }
    }

    @Test(arguments: [
        (used: 0, copied: 0, over: 0), (1, 1, 0), (999, 999, 0), (1000, 1000, 0),
    ])
    func reportedBytesAreCopied(used: Int, copied: Int, over: Int) throws {
        for policy in [CopyBackPolicy.trusted, .clamped] {
            let fixture = try makeFixture(policy)
            let after = try transfer(fixture, used: used)
            #expect(after.window == bytes((0xcc, 3000)), "not copied in")
            #expect(after.memory == bytes((0x77, copied), (0x11, 3000 - copied)))
            #expect(fixture.pool.statistics.overreportCount == 0)
        }
    }

    @Test(arguments: [
        (used: 3000, over: 0, copied: 3000), (3001, 1, 3000), (.max, 1, 3000), (-1, 1, 0),
        (.min, 1, 0),
    ])
    func clampedReportsAreCounted(used: Int, over: Int, copied: Int) throws {
        let fixture = try makeFixture(.clamped)
        let after = try transfer(fixture, used: used)
        // What the device did not write and says that it did is what the slots held.
        let expected = bytes((0x77, 1000), (0xcc, 2000)).prefix(copied)
        #expect(after.memory == Array(expected) + bytes((0x11, 3000 - copied)))
        #expect(fixture.pool.statistics.overreportCount == over)
        #expect(fixture.pool.statistics.copiedOutByteCount == copied)
    }

    @Test(arguments: [3001, Int.max, -1, Int.min])
    func reportThatShouldHaveBeenCheckedTraps(used: Int) async {
        // Exit tests capture nothing that is not their own: one for each.
        await #expect(processExitsWith: .failure) { [used] in
            let fixture = try PoolFixture { $0.copyBack = .trusted }
            var mapper = try fixture.pool.makeMapper()
            let mapping = try mapper.map(fixture.buffer(100, 3000), .fromDevice)
            mapper.unmap(mapping, usedByteCount: used)
        }
    }

    @Test func trustedReportOfAMappingToTheDeviceHasNoEffect() throws {
        let fixture = try makeFixture(.trusted)
        let after = try transfer(fixture, used: .max, .toDevice)
        #expect(after.window == bytes((0x11, 3000)) && after.memory == bytes((0x11, 3000)))
    }

    /// Linux's rule since CVE-2022-0854 (`swiotlb_tbl_map_single`).
    @Test(arguments: [0, 1000, 3000, 3001, -1])
    func prefillCopiesAllBothWays(used: Int) throws {
        let fixture = try makeFixture(.prefill)
        let after = try transfer(fixture, used: used)
        #expect(after.window == bytes((0x11, 3000)))
        #expect(after.memory == bytes((0x77, 1000), (0x11, 2000)))
        #expect(fixture.pool.statistics.overreportCount == (used < 0 || used > 3000 ? 1 : 0))
        #expect(fixture.pool.statistics.copiedInByteCount == 3000)
        #expect(fixture.pool.statistics.copiedOutByteCount == 3000)
    }

    @Test func promiseToOverwriteSparesTheCopyInOnly() throws {
        let fixture = try makeFixture(.prefill)
        let after = try transfer(fixture, used: 1000, map: .overwritten, unmap: .overwritten)
        #expect(after.window == bytes((0xcc, 3000)))
        #expect(after.memory == bytes((0x77, 1000), (0xcc, 2000)), "the promise was broken")
        // The device may read the buffer: then there is no sparing it.
        let both = try transfer(fixture, used: 1000, .bidirectional, map: .overwritten)
        #expect(both.window == after.memory)
    }

    /// `DMA_ATTR_SKIP_CPU_SYNC`.
    @Test(arguments: [CopyBackPolicy.trusted, .clamped, .prefill])
    func skippedSyncsCopyNothing(policy: CopyBackPolicy) throws {
        for direction in [DMADirection.toDevice, .fromDevice, .bidirectional] {
            let fixture = try makeFixture(policy)
            let after = try transfer(
                fixture, used: 5000, direction, map: .skipSync, unmap: .skipSync)
            #expect(after.window == bytes((0xcc, 3000)))
            #expect(after.memory == bytes((0x11, 3000)))
            #expect(fixture.pool.statistics.copiedInByteCount == 0)
            #expect(fixture.pool.statistics.copiedOutByteCount == 0)
            #expect(fixture.pool.statistics.overreportCount == 0)
        }
    }

    @Test func syncAtUnmapIsSkippedOnItsOwn() throws {
        let fixture = try makeFixture()
        let after = try transfer(fixture, used: 3000, .bidirectional, unmap: .skipSync)
        #expect(after.window == bytes((0x11, 3000)))
        #expect(after.memory == bytes((0x11, 3000)))
    }

    @Test func withoutScrubbingSlotsKeepTheirBytes() throws {
        let fixture = try makeFixture()
        _ = try transfer(fixture, used: 0, .toDevice)
        #expect(fixture.window.bytes(at: 0, byteCount: 4096) != bytes((0, 4096)))
        #expect(fixture.pool.statistics.scrubbedByteCount == 0)
    }

    @Test func scrubOnFreeClearsEverySlotWithItsPads() throws {
        let fixture = try makeFixture(.clamped, .onFree)
        _ = try transfer(fixture, used: 0, .toDevice)
        #expect(
            fixture.window.bytes(at: 0, byteCount: 4097) == bytes((0, 4096), (0xcc, 1)))
        #expect(fixture.pool.statistics.scrubbedByteCount == 4096)
    }

    @Test func scrubOnFreeCoversQuarantine() throws {
        for isReleasedByAll in [false, true] {
            let fixture = try makeFixture(.clamped, .onFree)
            var mapper = try fixture.pool.makeMapper()
            let token = mapper.quarantine(try mapper.map(fixture.buffer(0, 3000), .toDevice))
            #expect(fixture.window.bytes(at: 0, byteCount: 3000) == bytes((0x11, 3000)))
            if isReleasedByAll {
                #expect(fixture.pool.releaseQuarantine(of: fixture.pool.defaultOwner) == 1)
            } else {
                try mapper.release(quarantined: token)
            }
            #expect(fixture.window.bytes(at: 0, byteCount: 4097) == bytes((0, 4096), (0xcc, 1)))
        }
    }

    @Test func scrubOnOwnerChangeClearsForAnotherOwnerOnly() throws {
        let fixture = try makeFixture(.clamped, .onOwnerChange)
        var first = try fixture.pool.makeMapper(owner: try fixture.pool.makeOwner(name: "one"))
        var second = try fixture.pool.makeMapper(owner: try fixture.pool.makeOwner(name: "two"))
        // What the window held before the pool had it is nobody's.
        let mapping = try first.map(fixture.buffer(0, 3000), .fromDevice)
        #expect(fixture.window.bytes(at: 0, byteCount: 4097) == bytes((0, 4096), (0xcc, 1)))
        fixture.window.fill(at: 0, byteCount: 4096, with: 1)
        first.unmap(mapping, usedByteCount: 0)
        // The same owner meets its own bytes.
        let again = try first.map(fixture.buffer(0, 3000), .fromDevice)
        #expect(fixture.window.bytes(at: 0, byteCount: 4096) == bytes((1, 4096)))
        first.unmap(again, usedByteCount: 3000)
        #expect(fixture.memory.bytes(at: 0, byteCount: 3000) == bytes((1, 3000)))
        _ = fixture.freeSlots
        // Another owner does not, not even in one slot of a longer run.
        let other = try second.map(fixture.buffer(3000, 6000), .fromDevice)
        #expect(other.slots == SlotRun(first: 0, count: 3))
        second.unmap(other, usedByteCount: 6000)
        #expect(fixture.memory.bytes(at: 3000, byteCount: 6000) == bytes((0, 6000)))
        #expect(fixture.pool.statistics.scrubbedByteCount == 4096 + 6144)
    }

    @Test func coherentMemoryIsNobodysAfterwards() throws {
        let fixture = try makeFixture(.clamped, .onOwnerChange)
        do {
            let ring = try fixture.pool.allocateCoherent(byteCount: 4096)
            ring.memory.fill(at: ring.memoryOffset, byteCount: 4096, with: 5)
        }
        _ = try transfer(fixture, used: 0)
        #expect(fixture.pool.statistics.scrubbedByteCount == 0, "it was cleared already")
        #expect(fixture.window.bytes(at: 1000, byteCount: 3096) == bytes((0, 3096)))
    }
}
