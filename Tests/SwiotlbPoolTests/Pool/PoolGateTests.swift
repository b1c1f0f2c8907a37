import Testing

@testable import SwiotlbPool

@Suite struct PoolGateTests {
    @Test func waitersCollectorsAndExtentsDoNotMeet() {
        let gate = PoolGate()
        #expect(gate.current == 0 && !gate.hasWaiters)
        gate.setHasWaiters(true)
        gate.setHasWaiters(true)
        gate.beginCollecting()
        gate.beginCollecting()
        #expect(gate.hasWaiters && gate.current == 5)
        gate.extentsChanged()
        #expect(PoolGate.resting(gate.current) == 1 << 24)
        gate.setHasWaiters(false)
        #expect(!gate.hasWaiters && gate.current == 1 << 24 | 4)
        gate.endCollecting()
        gate.endCollecting()
        #expect(gate.current == PoolGate.resting(gate.current))
    }

    @Test func epochIsTheLastOneSet() {
        let gate = PoolGate()
        #expect(gate.epoch == 0)
        gate.setEpoch(.max)
        #expect(gate.epoch == .max && gate.current == 0)
    }
}
