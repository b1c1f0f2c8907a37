import Testing

@testable import SwiotlbPool

@Suite struct RunCachesTests {
    private let allocator: SlotAllocator
    private let table: SlotTable
    private let gate = PoolGate()
    // Classes, because a test's `self` is copied.
    private let first = MapperState()
    private let second = MapperState()

    private static let record = MappingRecord(
        bufferAddress: 77, byteCount: 5, offset: 0, epoch: 0, mapper: 3, direction: .toDevice,
        bufferCount: 1)
    private static let depth = 7

    init() {
        let layout = PoolLayout(
            geometry: .standard, extentByteCount: 2 << 18, extentCountMax: 1, areaCount: 1)
        allocator = SlotAllocator(layout: layout)
        table = SlotTable(slotLimit: layout.slotLimit, pool: 1)
        allocator.release(SlotRun(first: 0, count: 256))
    }

    /// A run claimed in the bitmap, mapped.
    private func claim(_ first: Int, _ count: Int) -> RunState {
        let run = SlotRun(first: first, count: count)
        #expect(allocator.claim(run))
        return table.begin(run, .mapped)
    }

    @discardableResult
    private func push(_ slot: Int, _ count: Int, _ mapper: MapperState? = nil) -> RunState {
        let state = claim(slot, count)
        #expect(put(slot, state, mapper))
        return state
    }

    private func collect(_ mapper: MapperState? = nil) -> Bool {
        (mapper ?? first).caches.collect(into: allocator, table: table)
    }

    /// Both kinds of pop: by plain stores, and by compare-and-swap.
    private func pop(
        _ count: Int, _ mapper: MapperState? = nil, mask: Int = 0, isShared: Bool
    ) -> (slot: Int, state: RunState)? {
        let caches = mapper ?? first
        return isShared
            ? caches.caches.popShared(
                SlotRequest(slotCount: count, stride: mask + 1), table: table)
            : caches.caches.pop(
                slotCount: count, mask: mask, for: Self.record, table: table, gate: gate,
                knownGate: 0)
    }

    private func put(_ slot: Int, _ state: RunState, _ mapper: MapperState? = nil) -> Bool {
        (mapper ?? first).caches.push(slot, state, table: table)
    }

    private func makePlace(_ state: RunState) -> Bool {
        first.caches.makePlace(for: state, table: table)
    }

    private func popShared(mask: Int, residue: Int) -> Int? {
        first.caches.popShared(
            SlotRequest(slotCount: 2, stride: mask + 1, residue: residue), table: table)?.slot
    }

    private var isEmpty: Bool { first.caches.isEmpty(table) }

    @Test(arguments: [false, true])
    func runsComeBackLastInFirstOutByLength(isShared: Bool) {
        for (slot, count) in [(0, 2), (10, 3), (20, 2), (30, 2)] { push(slot, count) }
        #expect(pop(2, second, isShared: isShared) == nil, "another mapper's")
        #expect(pop(1, isShared: isShared) == nil)
        let order = (0..<4).map { _ in pop(2, isShared: isShared)?.slot }
        #expect(order == [30, 20, 0, nil])
        #expect(pop(3, isShared: isShared)?.slot == 10)
    }

    @Test(arguments: [false, true])
    func cachedRunStaysClaimedAndSaysWhatItIs(isShared: Bool) {
        let state = push(4, 4)
        #expect(!allocator.bitmap.isFree(4))
        #expect(table.state(4) == state.with(.cached))
        let popped = pop(4, isShared: isShared)
        #expect(popped?.state == state.claimed(.mapped))
        #expect(table.state(4) == state.claimed(.mapped))
        #expect(table.state(4).generation == state.generation + 1)
        // A pop by plain stores writes the record as well.
        #expect(table.mapping(4).bufferAddress == (isShared ? 0 : 77))
    }

    @Test(arguments: [false, true])
    func topThatIsMisalignedIsLeft(isShared: Bool) {
        push(5, 2)
        #expect(pop(2, mask: 1, isShared: isShared) == nil)
        #expect(
            popShared(mask: 3, residue: 2) == nil)
        #expect(
            popShared(mask: 3, residue: 1) == 5)
    }

    @Test func longRunsAreNotCached() {
        let longest = RunCaches.runSlotCountMax
        let state = claim(0, longest + 1)
        #expect(!put(0, state))
        #expect(!makePlace(state))
        #expect(pop(longest + 1, isShared: false) == nil)
        #expect(pop(longest + 1, isShared: true) == nil)
        push(100, longest)
        #expect(pop(longest, isShared: false)?.slot == 100)
    }

    @Test func fullStackTakesNoMore() {
        for slot in 0..<Self.depth { push(slot, 1) }
        let state = claim(15, 1)
        #expect(put(15, state) == false)
        #expect(!makePlace(state), "none was collected")
        #expect(table.state(15) == state, "still the caller's")
        #expect(pop(1, isShared: false)?.slot == Self.depth - 1)
        #expect(put(15, state))
        #expect(pop(1, isShared: false)?.slot == 15)
    }

    @Test func collectFreesEveryRunAndLeavesStaleEntries() {
        #expect(isEmpty)
        for slot in [0, 2, 4] { push(slot, 2) }
        push(10, 3, second)
        #expect(collect())
        #expect((0..<6).allSatisfy { allocator.bitmap.isFree($0) })
        #expect(!allocator.bitmap.isFree(10), "of another mapper")
        #expect(!collect(), "none is left")
        #expect(pop(2, isShared: false) == nil, "stale")
        #expect(pop(2, isShared: true) == nil)
        #expect(isEmpty)
        #expect(collect(second))
        #expect(allocator.bitmap.isFree(10))
    }

    /// A run that was collected and claimed again, with another length or by another mapper, is not
    /// popped by an old entry.
    @Test(arguments: [false, true])
    func staleEntryIsNotPopped(isShared: Bool) {
        push(0, 2)
        push(8, 2)
        #expect(collect())
        push(8, 4, second)
        #expect(pop(2, isShared: isShared) == nil, "its length is another one now")
        push(0, 2, second)
        #expect(pop(2, isShared: isShared) == nil, "its generation is another one now")
        #expect(pop(4, second, isShared: isShared)?.slot == 8)
        #expect(pop(2, second, isShared: isShared)?.slot == 0)
    }

    @Test func staleTopsOfAFullStackMakePlace() {
        for slot in 0..<Self.depth { push(slot, 1) }
        #expect(collect())
        let state = claim(20, 1)
        #expect(!put(20, state))
        #expect(makePlace(state))
        #expect(put(20, state))
        #expect(pop(1, isShared: false)?.slot == 20)
        #expect(pop(1, isShared: false) == nil)
    }

    /// C1: while somebody collects, or anything else is out of the ordinary, nothing is popped by
    /// plain stores.
    @Test func popByPlainStoresNeedsAGateAtRest() {
        push(0, 2)
        gate.beginCollecting()
        #expect(pop(2, isShared: false) == nil)
        gate.endCollecting()
        gate.setHasWaiters(true)
        #expect(pop(2, isShared: false) == nil)
        gate.setHasWaiters(false)
        gate.extentsChanged()
        #expect(pop(2, isShared: false) == nil)
        #expect(pop(2, isShared: true)?.slot == 0)
    }
}
