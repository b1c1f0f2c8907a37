import SharedMemory
import Testing

@testable import SwiotlbPool

@Suite struct DMAMappingTests {
    @Test func mappingNamesTheBufferAndTheSameBytesInTheWindow() throws {
        let fixture = try PoolFixture()
        var mapper = try fixture.pool.makeMapper()
        let buffer = fixture.buffer(777, 100)
        let box = try mapper.box(buffer, .bidirectional)
        #expect(box.buffer == buffer)
        #expect(box.direction == .bidirectional)
        #expect(box.device.byteCount == 100)
        #expect(box.device.address == fixture.pool.windowAddress)
        #expect(box.slots == SlotRun(first: 0, count: 1))
        mapper.end(box)
    }

    @Test func mappingKeepsAllItsParts() {
        let state = RunState(bits: 0xffff_ffff_ffff_ff02)
        let mapping = DMAMapping(
            bufferAddress: .max, deviceAddress: .max - 1, byteCount: Int(UInt32.max),
            direction: .bidirectional, state: state, firstSlot: 0xff_ffff, isCacheable: true,
            isList: true)
        #expect(mapping.byteCount == Int(UInt32.max))
        #expect(mapping.firstSlot == 0xff_ffff)
        #expect(mapping.slots == SlotRun(first: 0xff_ffff, count: 65535))
        #expect(mapping.direction == .bidirectional && mapping.isList && mapping.isCacheable)
        mapping.end()
        let plain = DMAMapping(
            bufferAddress: 0, deviceAddress: 0, byteCount: 1, direction: .toDevice, state: .none,
            firstSlot: 0, isCacheable: false)
        #expect(plain.direction == .toDevice && !plain.isList && plain.byteCount == 1)
        #expect(plain.isCacheable == false)
        plain.end()
        #expect(MemoryLayout<DMAMapping>.size == 32, "four words, handed over in registers")
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
            var mapper = try fixture.pool.makeMapper()
            _ = try mapper.map(fixture.buffer(0, 1), .toDevice)
        }
    }

    @Test func unmappingByAMapperOfAnotherPoolTraps() async {
        await #expect(processExitsWith: .failure) {
            let (ours, theirs) = (try PoolFixture(), try PoolFixture())
            var mapper = try ours.pool.makeMapper()
            var other = try theirs.pool.makeMapper()
            // Holds the slots of the same numbers, which would be freed without a complaint.
            let kept = try other.map(theirs.buffer(0, 4096), .toDevice)
            other.unmap(try mapper.map(ours.buffer(0, 4096), .toDevice))
            kept.end()
        }
    }

    @Test func unmappingAnIdentityMappingByAPoolTraps() async {
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            var mapper = try fixture.pool.makeMapper()
            var identity = IdentityMapper()
            // Holds the first 64 slots, which would be freed without a complaint.
            let kept = try mapper.map(fixture.buffer(0, 131_072), .toDevice)
            mapper.unmap(try identity.map(fixture.buffer(0, 4096), .toDevice))
            kept.end()
        }
    }

    @Test func unmappingABouncedMappingByTheIdentityMapperTraps() async {
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            var mapper = try fixture.pool.makeMapper()
            var identity = IdentityMapper()
            identity.unmap(try mapper.map(fixture.buffer(0, 4096), .toDevice))
        }
    }
}
