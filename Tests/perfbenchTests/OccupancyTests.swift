import SharedMemory
import SwiotlbPool
import Testing

@testable import perfbench

@Suite struct OccupancyTests {
    @Test func `slots of mappings are seen, those of rings are not`() throws {
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let pool = try BouncePool(
            window: try HostMemory.window(byteCount: 1 << 20), at: GuestAddress(1 << 40),
            privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        var mapper = try pool.makeMapper()
        let ring = try pool.allocateCoherent(byteCount: 8192)
        let mapping = try mapper.map(
            GuestRange(address: GuestAddress(0), byteCount: 4096), .toDevice)
        let occupancy = try Occupancy(of: pool, seconds: 0.01) {}
        mapper.unmap(mapping)
        #expect(occupancy.slots == 512)
        #expect(occupancy.ms.count == occupancy.usedSlots.count)
        #expect(occupancy.ms.first == 0)
        #expect(Set(occupancy.usedSlots) == [2])
        withExtendedLifetime(ring) {}
    }

    @Test func `what is watched may fail`() throws {
        struct Failure: Error {}
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let pool = try BouncePool(
            window: try HostMemory.window(byteCount: 1 << 20), at: GuestAddress(1 << 40),
            privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        #expect(throws: Failure.self) {
            _ = try Occupancy(of: pool, seconds: 0.01) { throw Failure() }
        }
    }
}
