import BasicContainers
import Synchronization

extension BouncePool {
    /// What all mappers did and hold. Takes a lock: for reports.
    public var statistics: PoolStatistics {
        var total = registry.withLock { registry in
            var total = registry.retired
            total.usedSlotCount = 0
            for index in 0..<registry.owners.count { mappers[index].add(to: &total) }
            return total
        }
        total.slotCount = presentSlotCount.load(ordering: .relaxed)
        total.coherentSlotCount = coherentSlotCount.load(ordering: .relaxed)
        total.usedSlotCount += total.coherentSlotCount
        total.unmapCount += quarantineEndCount.load(ordering: .relaxed)
        total.quarantinedSlotCount = quarantinedSlotCount.load(ordering: .relaxed)
        waiters.add(to: &total)
        return total
    }

    /// What one owner's mappers did and hold. Waiting is told of the pool as a whole.
    public func statistics(of owner: PoolOwner) -> PoolStatistics {
        registry.withLock { registry in
            var total = owner.retiredStatistics(resetCount: registry.resetCount)
            total.usedSlotCount = 0
            for index in 0..<registry.owners.count where registry.owners[index] === owner {
                mappers[index].add(to: &total)
            }
            total.slotCount =
                owner.quotaSlotCount ?? presentSlotCount.load(ordering: .relaxed)
            return total
        }
    }

    /// Makes the high-water marks begin again from what is in use now (a write of 0 to Linux's
    /// `io_tlb_used_hiwater`).
    public func resetHighWaterMarks() {
        registry.withLock { registry in
            registry.retired.highWaterSlotCount = 0
            registry.resetCount += 1
            for index in 0..<registry.owners.count {
                // Its mapper may store its own mark at this moment, which is then as new.
                mappers[index].highWaterSlotCount.set(mappers[index].liveSlotCount)
            }
        }
    }
}
