import SharedMemory
import Testing

@testable import SwiotlbPool

@Suite struct IdentityMapperTests {
    @Test(arguments: [DMADirection.toDevice, .fromDevice, .bidirectional])
    func deviceSeesTheBufferWhereItIs(direction: DMADirection) throws {
        var mapper = IdentityMapper()
        let buffer = GuestRange(address: GuestAddress(0x1234_5678), byteCount: 1 << 30)
        let mapping = try mapper.map(buffer, direction)
        mapper.syncForDevice(mapping, offset: 0, byteCount: 1)
        mapper.syncForCPU(mapping, offset: 0, byteCount: 1)
        let device = mapping.deviceRange
        let kept = mapping.buffer
        let state = mapping.state
        mapper.unmap(mapping)
        #expect(device == buffer)
        #expect(kept == buffer)
        #expect(state == .none)
    }

    @Test func refusalsAreThoseOfAnyMapper() throws {
        var mapper = IdentityMapper()
        let most = mapper.maximumMappingByteCount
        #expect(most == Int(UInt32.max))
        #expect(mapper.copiedByteCount == 0)
        #expect(refusal(&mapper, 0) == .empty)
        #expect(refusal(&mapper, most + 1) == .tooLarge(maximumByteCount: most))
        #expect(refusal(&mapper, most) == nil)
    }

    private func refusal(_ mapper: inout IdentityMapper, _ byteCount: Int) -> MapRefusal? {
        do throws(MapRefusal) {
            let mapping = try mapper.map(
                GuestRange(address: GuestAddress(5), byteCount: byteCount), .toDevice)
            mapper.unmap(mapping)
            return nil
        } catch {
            return error
        }
    }
}
