import BasicContainers
import Synchronization

/// Whom mappings belong to: a device, or one queue of it.
///
/// A pool tells its owners apart in three ways: what each has in use (``BouncePool/statistics(of:)``),
/// how much it may have (its quota), and whose bytes it may meet in a slot
/// (``ScrubPolicy/onOwnerChange``). An owner without a quota costs nothing on the way of a mapping;
/// one with a quota, a read-modify-write each at map and unmap of a cache line that its own mappers
/// share.
public final class PoolOwner: Sendable {
    public let name: String
    /// Slots that its mappings may have at once; `nil` for no limit.
    public let quotaSlotCount: Int?

    /// The ``BouncePool/identity`` of its pool; `nil` for a default owner.
    let pool: Int?
    /// Tells the owners of a pool apart; 0 is the default owner.
    let number: UInt16
    private let leadingPad = InlineArray<16, UInt64>(repeating: 0)
    /// Slots that count against the quota.
    private let usedSlotCount = Atomic(0)
    /// Reservations that wait, for slots or until the quota allows them; 0 without a quota.
    private let waiterCount = Atomic(0)
    private let trailingPad = InlineArray<16, UInt64>(repeating: 0)
    /// What its mappers did whose places were taken over since.
    private let retired = Mutex(Retired())

    private struct Retired {
        var statistics = PoolStatistics()
        /// The reset of high-water marks that the mark in `statistics` is since.
        var resetCount = 0

        /// Forgets a mark of before a reset.
        mutating func catchUp(to resetCount: Int) {
            if self.resetCount != resetCount { statistics.highWaterSlotCount = 0 }
            self.resetCount = resetCount
        }
    }

    init(name: String, quotaSlotCount: Int?, number: UInt16, pool: Int? = nil) {
        self.name = name
        self.quotaSlotCount = quotaSlotCount
        self.number = number
        self.pool = pool
    }

    /// Counts slots against the quota, or refuses them.
    func take(_ count: Int) -> Bool {
        guard let quotaSlotCount else { return true }
        var used = usedSlotCount.load(ordering: .relaxed)
        while count <= quotaSlotCount - used {
            let (exchanged, found) = usedSlotCount.weakCompareExchange(
                expected: used, desired: used + count, ordering: .sequentiallyConsistent)
            if exchanged { return true }
            used = found
        }
        return false
    }

    /// Whether reservations of an owner with a quota wait, behind which its newcomers stand back.
    var hasWaiters: Bool { waiterCount.load(ordering: .relaxed) > 0 }

    // Called by the queue, under its lock, which orders them.
    func didBeginToWait() {
        if quotaSlotCount != nil { waiterCount.wrappingAdd(1, ordering: .relaxed) }
    }

    func didEndToWait() {
        if quotaSlotCount != nil { waiterCount.wrappingSubtract(1, ordering: .relaxed) }
    }

    func give(_ count: Int) {
        guard quotaSlotCount != nil else { return }
        usedSlotCount.wrappingSubtract(count, ordering: .sequentiallyConsistent)
    }

    /// Why `take` refused.
    var refusal: MapRefusal {
        .quotaReached(
            quotaSlotCount: quotaSlotCount ?? 0,
            usedSlotCount: usedSlotCount.load(ordering: .relaxed))
    }

    func retire(_ counters: MapperState, resetCount: Int) {
        retired.withLock {
            $0.catchUp(to: resetCount)
            counters.add(to: &$0.statistics)
        }
    }

    func retiredStatistics(resetCount: Int) -> PoolStatistics {
        retired.withLock {
            $0.catchUp(to: resetCount)
            return $0.statistics
        }
    }
}

/// Which owner had each slot last.
final class SlotOwners: Sendable {
    /// Nobody's bytes: a slot that holds zeroes.
    static let nobody = UInt16.max
    /// Somebody's who is none of the pool's owners: what memory held before the pool had it.
    static let stranger = UInt16.max - 1

    private let numbers: RigidArray<Atomic<UInt16>>

    init(slotLimit: Int) {
        var numbers = RigidArray<Atomic<UInt16>>(capacity: slotLimit)
        for _ in 0..<slotLimit { numbers.append(Atomic(Self.stranger)) }
        self.numbers = numbers
    }

    /// Makes a run, which the caller holds, an owner's.
    ///
    /// - Returns: whether a slot of it was somebody else's, so that its bytes have to go.
    func change(_ run: SlotRun, to owner: UInt16) -> Bool {
        var differs = false
        for slot in run.first..<run.end {
            let last = numbers[slot].load(ordering: .relaxed)
            if last == owner { continue }
            differs = differs || last != Self.nobody
            numbers[slot].store(owner, ordering: .relaxed)
        }
        return differs
    }

    func set(_ run: SlotRun, _ owner: UInt16) {
        for slot in run.first..<run.end { numbers[slot].store(owner, ordering: .relaxed) }
    }
}
