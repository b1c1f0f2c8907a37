import Testing

@testable import SwiotlbPool

@Suite struct SlotTableTests {
    @Test func stateKeepsWhatItIsMadeOf() {
        let state = RunState(bits: 0xffff_fffe_1234_5601)
        #expect(state.generation == 0xffff_fffe)
        #expect(state.count == 0x1234)
        #expect(state.pool == 0x56)
        #expect(state.phase == .cached)
        #expect(state.with(.parked).bits == 0xffff_fffe_1234_5603)
        #expect(state.claimed(.mapped).bits == 0xffff_ffff_1234_5602)
        // A generation wraps without touching the rest.
        #expect(state.claimed(.mapped).claimed(.mapped).bits == 0x1234_5602)
        #expect(state.claimed(.coherent, count: 65535).bits == 0xffff_ffff_ffff_5605)
        #expect(state.claimed(.coherent, count: 65535).count == 65535)
    }

    @Test func everyPhaseHasAValueOfItsOwn() {
        let phases: [RunPhase] = [
            .free, .cached, .mapped, .parked, .quarantined, .coherent, .reserved, .draining,
        ]
        #expect(Set(phases.map(\.rawValue)).count == 8)
        for phase in phases { #expect(RunState.none.with(phase).phase == phase) }
        #expect(RunState(bits: 0xff).phase == .free, "no phase at all")
    }

    @Test func newTableHasThePoolsNumberAndNothingElse() {
        let table = SlotTable(slotLimit: 4, pool: 9)
        for slot in 0..<4 { #expect(table.state(slot).bits == 0x900) }
    }

    @Test func beginCountsTheGeneration() {
        let table = SlotTable(slotLimit: 8, pool: 1)
        let first = table.begin(SlotRun(first: 3, count: 2), .mapped)
        let second = table.begin(SlotRun(first: 3, count: 5), .reserved)
        #expect([first.generation, second.generation] == [1, 2])
        #expect([first.count, second.count] == [2, 5])
        #expect(table.state(3) == second)
        #expect(table.state(4).generation == 0)
    }

    @Test func exchangeTakesTheExpectedStateOnly() {
        let table = SlotTable(slotLimit: 1, pool: 1)
        let state = table.begin(SlotRun(first: 0, count: 1), .parked)
        let mapped = state.claimed(.mapped)
        #expect(!table.exchange(mapped, for: state, at: 0))
        #expect(table.exchange(state, for: mapped, at: 0))
        #expect(!table.exchange(state, for: mapped, at: 0))
        #expect(table.state(0) == mapped)
    }

    @Test func recordKeepsAllItsParts() {
        let table = SlotTable(slotLimit: 2, pool: 1)
        let record = MappingRecord(
            bufferAddress: .max - 5, byteCount: 0xffff_ffff, offset: 0x1_ffff, epoch: .max,
            mapper: 0xfffe, direction: .fromDevice, bufferCount: 255)
        table.write(record, at: 1)
        let read = table.mapping(1)
        #expect(read.bufferAddress == record.bufferAddress)
        #expect(read.byteCount == record.byteCount && read.offset == record.offset)
        #expect(read.epoch == record.epoch && read.mapper == record.mapper)
        #expect(read.direction == .fromDevice && read.bufferCount == 255)
        #expect(table.mapper(1) == 0xfffe)
        table.writeBuffer(77, byteCount: 3, at: 0)
        #expect(table.mapping(0).bufferAddress == 77 && table.mapping(0).byteCount == 3)
        #expect(table.mapping(1).bufferAddress == record.bufferAddress)
    }
}
