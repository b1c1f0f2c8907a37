import AllocationCounter
import SharedMemory
import Testing

@testable import SwiotlbPool

@Suite struct IdentityMapperTests {
    @Test(arguments: [DMADirection.toDevice, .fromDevice, .bidirectional])
    func deviceSeesTheBufferWhereItIs(direction: DMADirection) throws {
        var mapper = IdentityMapper()
        let buffer = GuestRange(address: GuestAddress(0x1234_5678), byteCount: 1 << 40)
        let mapping = try mapper.map(buffer, direction)
        mapper.syncForDevice(mapping, offset: 0, byteCount: 1)
        mapper.syncForCPU(mapping, offset: 0, byteCount: 1)
        let device = mapping.deviceRange
        let kept = mapping.buffer
        let slots = mapping.slots
        mapper.unmap(mapping)
        #expect(device == buffer)
        #expect(kept == buffer)
        #expect(slots == .none)
    }

    @Test func nothingIsTooLarge() {
        #expect(IdentityMapper().maximumMappingByteCount == .max)
    }

    @Test(.enabled(if: allocation_counter_works()))
    func mappingAllocatesNothing() throws {
        var mapper = IdentityMapper()
        let before = allocation_counter_read()
        for index in 0..<10_000 {
            let mapping = try mapper.map(
                GuestRange(address: GuestAddress(UInt64(index)), byteCount: 1), .bidirectional)
            mapper.unmap(mapping, usedByteCount: 1)
        }
        let after = allocation_counter_read()
        #expect(after == before)
    }

    @Test func emptyBufferTraps() async {
        await #expect(processExitsWith: .failure) {
            var mapper = IdentityMapper()
            let mapping = try mapper.map(
                GuestRange(address: GuestAddress(0), byteCount: 0), .toDevice)
            mapper.unmap(mapping)
        }
    }
}
