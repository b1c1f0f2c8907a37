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
}
