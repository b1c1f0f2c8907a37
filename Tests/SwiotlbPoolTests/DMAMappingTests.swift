import SharedMemory
import Testing

@testable import SwiotlbPool

@Suite struct DMAMappingTests {
    @Test func mappingNamesTheBufferAndTheSameBytesInTheWindow() throws {
        let fixture = try PoolFixture()
        var mapper = fixture.pool.makeMapper()
        let buffer = fixture.buffer(777, 100)
        let box = try mapper.box(buffer, .bidirectional)
        #expect(box.buffer == buffer)
        #expect(box.direction == .bidirectional)
        #expect(box.device.byteCount == 100)
        #expect(box.device.address == fixture.pool.windowAddress)
        #expect(box.slots == SlotRun(first: 0, count: 1))
        mapper.end(box)
    }

    @Test func droppingAMappingTrapsInDebugBuilds() async {
        var isDebug = false
        assert(
            {
                isDebug = true
                return true
            }())
        guard isDebug else { return }
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            var mapper = fixture.pool.makeMapper()
            _ = try mapper.map(fixture.buffer(0, 1), .toDevice)
        }
    }

    @Test func unmappingByAMapperOfAnotherPoolTraps() async {
        await #expect(processExitsWith: .failure) {
            let (ours, theirs) = (try PoolFixture(), try PoolFixture())
            var mapper = ours.pool.makeMapper()
            var other = theirs.pool.makeMapper()
            // Holds the slots of the same numbers, which would be freed without a complaint.
            let kept = try other.map(theirs.buffer(0, 4096), .toDevice)
            other.unmap(try mapper.map(ours.buffer(0, 4096), .toDevice))
            _ = kept.end()
        }
    }

    @Test func unmappingAnIdentityMappingByAPoolTraps() async {
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            var mapper = fixture.pool.makeMapper()
            var identity = IdentityMapper()
            // Holds the first 64 slots, which would be freed without a complaint.
            let kept = try mapper.map(fixture.buffer(0, 131_072), .toDevice)
            mapper.unmap(try identity.map(fixture.buffer(0, 4096), .toDevice))
            _ = kept.end()
        }
    }

    @Test func unmappingABouncedMappingByTheIdentityMapperTraps() async {
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            var mapper = fixture.pool.makeMapper()
            var identity = IdentityMapper()
            identity.unmap(try mapper.map(fixture.buffer(0, 4096), .toDevice))
        }
    }
}
