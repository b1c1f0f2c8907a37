import SwiotlbPool
import Testing

@Suite struct MapRefusalTests {
    @Test func onlyRefusalsOfAFullPoolAreTemporary() {
        #expect(MapRefusal.exhausted(freeSlotCount: 0).isTemporary)
        #expect(MapRefusal.fragmented(longestFreeRunSlotCount: 1).isTemporary)
        #expect(!MapRefusal.tooLarge(maximumByteCount: 1).isTemporary)
        #expect(!MapRefusal.outsidePrivateMemory.isTemporary)
    }
}
