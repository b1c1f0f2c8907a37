import Testing

@testable import SwiotlbPool

@Suite struct DMADirectionTests {
    @Test func directionsSayWhatIsCopied() {
        #expect(DMADirection.toDevice.copiesIn && !DMADirection.toDevice.copiesOut)
        #expect(!DMADirection.fromDevice.copiesIn && DMADirection.fromDevice.copiesOut)
        #expect(DMADirection.bidirectional.copiesIn && DMADirection.bidirectional.copiesOut)
    }
}
