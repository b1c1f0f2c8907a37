import Synchronization

/// A mapper's place in its pool: what it counts and the runs that it caches, written by its thread
/// alone unless said otherwise, and read by any.
///
/// An addition to a counter is a load and a store, without a locked instruction. The padding keeps
/// two mappers out of one pair of cache lines.
final class MapperState: Sendable {
    private let leadingPad = InlineArray<14, UInt64>(repeating: 0)
    /// The number of the owner of the mapper that has the place, and whether it has a quota. Stays
    /// while mappings are live that the mapper made.
    let ownerNumber = Atomic<UInt16>(0)
    let ownerHasQuota = Atomic(false)
    let mapCount = Counter()
    let unmapCount = Counter()
    /// Slots of mappings that it made and has not unmapped itself, less those of
    /// ``foreignUnmappedSlotCount`` that it has taken notice of.
    let ownSlotCount = Counter()
    /// The highest number of slots that its mappings had at once.
    let highWaterSlotCount = Counter()
    let spillCount = Counter()
    let copiedInByteCount = Counter()
    let copiedOutByteCount = Counter()
    let scrubbedByteCount = Counter()
    let overreportCount = Counter()
    let refusals = InlineArray<8, Counter> { _ in Counter() }
    let caches = RunCaches()
    private let middlePad = InlineArray<16, UInt64>(repeating: 0)
    /// Slots of its mappings that other mappers unmapped: the one counter that others write.
    let foreignUnmappedSlotCount = Atomic(0)
    private let trailingPad = InlineArray<16, UInt64>(repeating: 0)

    struct Counter: ~Copyable, Sendable {
        private let value = Atomic(0)

        @inline(__always)
        func add(_ amount: Int) {
            // Relaxed, not a read-modify-write: there is one writer.
            value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
        }

        @inline(__always)
        func set(_ amount: Int) { value.store(amount, ordering: .relaxed) }

        @inline(__always)
        var current: Int { value.load(ordering: .relaxed) }
    }

    /// Slots in mappings that this mapper made.
    var liveSlotCount: Int {
        ownSlotCount.current &- foreignUnmappedSlotCount.load(ordering: .relaxed)
    }

    /// Counts a mapping that was made.
    @inline(__always)
    func didMap(slotCount: Int) {
        mapCount.add(1)
        let own = ownSlotCount.current &+ slotCount
        ownSlotCount.set(own)
        if own > highWaterSlotCount.current { raiseHighWater() }
    }

    @inline(never)
    private func raiseHighWater() {
        // What others unmapped is taken off here, once, so that the comparison above stays right.
        let foreign = foreignUnmappedSlotCount.exchange(0, ordering: .relaxed)
        let own = ownSlotCount.current &- foreign
        ownSlotCount.set(own)
        if own > highWaterSlotCount.current { highWaterSlotCount.set(own) }
    }

    /// Counts a mapping of its own that was ended.
    @inline(__always)
    func didUnmap(slotCount: Int) {
        unmapCount.add(1)
        ownSlotCount.set(ownSlotCount.current &- slotCount)
    }

    func add(to total: inout PoolStatistics) {
        total.mapCount += mapCount.current
        total.unmapCount += unmapCount.current
        total.spillCount += spillCount.current
        total.copiedInByteCount += copiedInByteCount.current
        total.copiedOutByteCount += copiedOutByteCount.current
        total.scrubbedByteCount += scrubbedByteCount.current
        total.overreportCount += overreportCount.current
        total.usedSlotCount += liveSlotCount
        total.highWaterSlotCount += max(highWaterSlotCount.current, liveSlotCount)
        for reason in MapRefusal.Reason.allCases {
            total.refusals[reason] += refusals[reason.rawValue].current
        }
    }

    func belong(to owner: PoolOwner) {
        ownerNumber.store(owner.number, ordering: .relaxed)
        ownerHasQuota.store(owner.quotaSlotCount != nil, ordering: .relaxed)
    }

    /// For the next mapper of this place; nobody uses the place meanwhile.
    func reset() {
        mapCount.set(0)
        unmapCount.set(0)
        ownSlotCount.set(0)
        highWaterSlotCount.set(0)
        spillCount.set(0)
        copiedInByteCount.set(0)
        copiedOutByteCount.set(0)
        scrubbedByteCount.set(0)
        overreportCount.set(0)
        for index in 0..<refusals.count { refusals[index].set(0) }
        foreignUnmappedSlotCount.store(0, ordering: .relaxed)
    }
}
