import BasicContainers
import SharedMemory
import Synchronization

/// The runs that a mapper freed last, by length, the last on top: what makes a payload meet slots that
/// are still in cache, and spares a map even the compare-and-swap of the bitmap.
///
/// A cached run stays claimed in the bitmap, and its state says ``RunPhase/cached``. Its mapper
/// pushes and pops with plain stores. Another thread that finds no free run collects the caches of
/// all mappers (``collect(into:table:)``), so that no cached run is out of anybody's reach. Entries
/// and counts are hints that the state confirms.
///
/// **Orderings** (labels as in `Models/cache.pml`; T1 and T2 of ``SlotTable``). C1: a pop says which
/// run it is about to take, then, behind a light barrier, looks at the gate; only if nobody collects
/// does it take the run. C2: a collector counts itself in the gate, then, behind a heavy barrier,
/// looks at what each mapper is about to take, and leaves that alone. One of the two sees the other.
/// `popShared` takes by compare-and-swap, which needs neither, and does so also while others collect.
struct RunCaches: ~Copyable, Sendable {
    /// 64 KiB that are not slot aligned. Longer runs are not cached: what a search costs is little
    /// next to their copies.
    static let runSlotCountMax = 33

    /// Runs of n slots: number n - 1.
    private let stacks: RigidArray<RunStack>

    init() {
        var stacks = RigidArray<RunStack>(capacity: Self.runSlotCountMax)
        for _ in 0..<Self.runSlotCountMax { stacks.append(RunStack()) }
        self.stacks = stacks
    }

    /// The first slot, plus one, of the run that the mapper is about to take; 0 for none.
    private let intent = Atomic<UInt64>(0)

    /// Takes the run on top for a mapping, if its first slot is a multiple of `mask + 1`, the gate is
    /// as known, and nobody has collected the run.
    ///
    /// To be called by the mapper's thread alone, as are the other pop and push, and only where
    /// ``AsymmetricBarrier`` is available.
    @inline(__always)
    func pop(
        slotCount: Int, mask: Int, for mapping: MappingRecord, table: SlotTable, gate: PoolGate,
        knownGate: UInt64
    ) -> (slot: Int, state: RunState)? {
        guard slotCount <= Self.runSlotCountMax else { return nil }
        return stacks[slotCount &- 1].withTop { slot, state in
            guard slot & mask == 0 else { return false }
            // C1.
            intent.store(UInt64(truncatingIfNeeded: slot &+ 1), ordering: .relaxed)
            AsymmetricBarrier.light(isAvailable: true)
            let isMine = gate.current == knownGate && table.take(state, at: slot, for: mapping)
            intent.store(0, ordering: .releasing)
            return isMine
        }
    }

    /// Takes the run on top if a request allows it, also where others collect at this moment.
    func popShared(_ request: SlotRequest, table: SlotTable) -> (slot: Int, state: RunState)? {
        let slotCount = request.slotCount
        guard slotCount <= Self.runSlotCountMax else { return nil }
        repeat {
            let run = stacks[slotCount - 1].withTop { slot, state in
                // A run that does not suit stays where it is.
                request.allows(slot)
                    && table.exchange(state, for: state.claimedFromCache, at: slot)
            }
            if let run { return run }
            // The run on top may have been collected by somebody, as may be the next.
        } while stacks[slotCount - 1].dropStale(table: table)
        return nil
    }

    /// Whether nothing is cached, as far as can be told without a barrier.
    func isEmpty(_ table: SlotTable) -> Bool {
        for index in 0..<stacks.count where !stacks[index].isEmpty(table) { return false }
        return true
    }

    /// Puts a run on top that the caller holds.
    ///
    /// - Returns: false where there is no place for it.
    @inline(__always)
    func push(_ slot: Int, _ state: RunState, table: SlotTable) -> Bool {
        let slotCount = state.count
        guard slotCount <= Self.runSlotCountMax else { return false }
        return stacks[slotCount &- 1].push(slot, state.givenToCache, table: table)
    }

    /// Makes a place among runs as long as this one, if entries are in the way that were collected.
    func makePlace(for state: RunState, table: SlotTable) -> Bool {
        state.count <= Self.runSlotCountMax && stacks[state.count - 1].dropStale(table: table)
    }

    /// Frees every cached run but the one that the mapper is about to take.
    ///
    /// To be called by the mapper's thread, or by any between ``PoolGate/beginCollecting()`` and
    /// ``PoolGate/endCollecting()``.
    ///
    /// - Returns: whether there was one.
    /// - Complexity: a load for each length, and a few for each run.
    func collect(into allocator: SlotAllocator, table: SlotTable) -> Bool {
        var found = false
        // C2.
        let spared = Int(truncatingIfNeeded: intent.load(ordering: .acquiring)) - 1
        for index in 0..<stacks.count
        where stacks[index].collect(into: allocator, table: table, sparing: spared) {
            found = true
        }
        return found
    }

    /// Forgets all entries, which were collected. To be called by the mapper's thread alone.
    func forgetAll() {
        for index in 0..<stacks.count { stacks[index].forgetAll() }
    }
}

/// Cached runs of one length: two cache lines. With more of them, a refused map has more to collect.
private struct RunStack: ~Copyable, Sendable {
    static let depth = 7

    private let count = Atomic<UInt64>(0)
    private let pad = UInt64(0)
    private let entries = InlineArray<7, Entry> { _ in Entry() }

    struct Entry: ~Copyable, Sendable {
        let slot = Atomic<UInt64>(0)
        /// What the run's state is if nobody has collected it.
        let state = Atomic<UInt64>(0)
    }

    /// Takes the entry on top off, if there is one and `take` takes its run.
    @inline(__always)
    func withTop(_ take: (Int, RunState) -> Bool) -> (slot: Int, state: RunState)? {
        let count = Int(truncatingIfNeeded: self.count.load(ordering: .relaxed))
        guard count > 0 else { return nil }
        let slot = Int(truncatingIfNeeded: entries[count &- 1].slot.load(ordering: .relaxed))
        let state = RunState(bits: entries[count &- 1].state.load(ordering: .relaxed))
        guard take(slot, state) else { return nil }
        self.count.store(UInt64(truncatingIfNeeded: count &- 1), ordering: .relaxed)
        return (slot, state.claimedFromCache)
    }

    func isEmpty(_ table: SlotTable) -> Bool {
        let count = min(Int(self.count.load(ordering: .relaxed)), Self.depth)
        for entry in 0..<count {
            let slot = Int(truncatingIfNeeded: entries[entry].slot.load(ordering: .relaxed))
            let state = entries[entry].state.load(ordering: .relaxed)
            if table.state(slot).bits == state { return false }
        }
        return true
    }

    func forgetAll() { count.store(0, ordering: .relaxed) }

    @inline(__always)
    func push(_ slot: Int, _ state: RunState, table: SlotTable) -> Bool {
        let count = Int(truncatingIfNeeded: self.count.load(ordering: .relaxed))
        guard count < Self.depth else { return false }
        entries[count].slot.store(UInt64(truncatingIfNeeded: slot), ordering: .relaxed)
        entries[count].state.store(state.bits, ordering: .relaxed)
        self.count.store(UInt64(truncatingIfNeeded: count &+ 1), ordering: .relaxed)
        table.store(state, at: slot)
        return true
    }

    /// Drops the entries on top that were collected.
    ///
    /// - Returns: whether there was one, and so there is a place now.
    @inline(never)
    func dropStale(table: SlotTable) -> Bool {
        let before = Int(truncatingIfNeeded: self.count.load(ordering: .relaxed))
        var count = before
        while count > 0 {
            let slot = Int(truncatingIfNeeded: entries[count - 1].slot.load(ordering: .relaxed))
            let state = entries[count - 1].state.load(ordering: .relaxed)
            if table.state(slot).bits == state { break }
            count -= 1
        }
        self.count.store(UInt64(count), ordering: .relaxed)
        return count < before
    }

    func collect(into allocator: SlotAllocator, table: SlotTable, sparing spared: Int) -> Bool {
        var found = false
        let count = min(Int(self.count.load(ordering: .relaxed)), Self.depth)
        for entry in 0..<count {
            // The two words of an entry may be of different moments; the exchange finds out.
            let slot = Int(truncatingIfNeeded: entries[entry].slot.load(ordering: .relaxed))
            let state = RunState(bits: entries[entry].state.load(ordering: .relaxed))
            guard slot != spared, state.phase == .cached,
                table.exchange(state, for: state.with(.free), at: slot)
            else { continue }
            allocator.release(SlotRun(first: slot, count: state.count))
            found = true
        }
        return found
    }
}
