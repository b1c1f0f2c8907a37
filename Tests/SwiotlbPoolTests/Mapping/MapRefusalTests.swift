import SwiotlbPool
import Testing

@Suite struct MapRefusalTests {
    private let all: [MapRefusal] = [
        .empty, .tooLarge(maximumByteCount: 1), .outsidePrivateMemory, .alignmentImpossible,
        .quotaReached(quotaSlotCount: 1, usedSlotCount: 1), .exhausted(freeSlotCount: 0),
        .fragmented(longestFreeRunSlotCount: 1), .othersWait,
    ]

    @Test func onlyRefusalsThatOtherMappingsAreTheReasonOfAreTemporary() {
        #expect(
            all.map(\.isTemporary) == [false, false, false, false, true, true, true, true])
    }

    @Test func everyRefusalHasAReasonAndATextOfItsOwn() {
        #expect(all.map(\.reason) == MapRefusal.Reason.allCases)
        #expect(Set(all.map(\.description)).count == all.count)
    }
}
