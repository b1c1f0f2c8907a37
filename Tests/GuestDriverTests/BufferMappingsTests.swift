import BasicContainers
import SharedMemory
import SwiotlbPool
import Testing

@testable import GuestDriver

@Suite struct BufferMappingsTests {
    @Test("What is too large is told with what was mapped of all buffers, and nothing stays mapped")
    func tooLarge() throws {
        var mapper = IdentityMapper()
        var mappings = BufferMappings(countMax: 2)
        var parts = RigidArray<GuestRange>(capacity: 4)
        for start in [0, 1000] as [UInt64] {
            try mappings.map(
                GuestRange(address: GuestAddress(start), byteCount: 100), .toDevice, by: &mapper,
                parts: &parts)
        }
        var refusal: MapRefusal?
        do throws(MapRefusal) {
            try mappings.map(
                GuestRange(address: GuestAddress(2000), byteCount: 100), .toDevice, by: &mapper,
                parts: &parts)
        } catch {
            refusal = error
        }
        #expect(refusal == .tooLarge(maximumByteCount: 200))
        let byteCount = mappings.byteCount
        #expect(byteCount == 0)
    }
}
