import Glibc
public import SharedMemory
import Synchronization

extension BouncePool {
    /// Makes an owner.
    ///
    /// - Parameters:
    ///   - name: for reports.
    ///   - quotaSlotCount: slots that its mappings may have at once, 1 or more; `nil` for no limit.
    ///     A device that withholds completions can exhaust its own quota, and no other's.
    /// - Throws: ``PoolError/invalidQuota``; ``PoolError/unsupportedConfiguration`` after 65000 of
    ///   them.
    public func makeOwner(
        name: String, quotaSlotCount: Int? = nil
    ) throws(PoolError) -> PoolOwner {
        guard quotaSlotCount.map({ $0 >= 1 }) ?? true else { throw .invalidQuota }
        let number = try registry.withLock { registry throws(PoolError) in
            guard registry.ownerCount < 65000 else { throw .unsupportedConfiguration }
            defer { registry.ownerCount += 1 }
            return registry.ownerCount
        }
        return PoolOwner(
            name: name, quotaSlotCount: quotaSlotCount, number: number, pool: identity
        )
    }

    /// Lets the pool know what time it is, for the ages in ``leakReport(of:)``. To be called now and
    /// then, by a watchdog, say: a mapping's age is told to the distance of two ticks. A report
    /// ticks as well.
    public func tick() {
        gate.setEpoch(UInt32(truncatingIfNeeded: Self.coarseMilliseconds() &- madeAtMilliseconds))
    }

    /// One live mapping, as a report names it.
    public struct LiveMapping: Hashable, Sendable {
        public let ownerName: String
        /// The driver's buffer; of a list, the first one's address and the length of all.
        public let buffer: GuestRange
        public let deviceRange: GuestRange
        public let direction: DMADirection
        public let slotCount: Int
        public let isQuarantined: Bool
        /// At most this old: since the last tick before it was mapped.
        public let ageMax: Duration
    }

    /// Every live mapping of an owner, or of all; the oldest first. What is in it when a device is
    /// gone was leaked.
    ///
    /// - Complexity: linear in the pool's slots: for reports. Other threads may go on; mappings that
    ///   they make or end meanwhile are in it or not.
    public func leakReport(of owner: PoolOwner? = nil) -> [LiveMapping] {
        tick()
        let now = gate.epoch
        let owners = registry.withLock { $0.owners }
        var report: [LiveMapping] = []
        var slot = 0
        while slot < layout.slotLimit {
            let state = table.state(slot)
            let record = table.mapping(slot)
            guard state.phase == .mapped || state.phase == .parked || state.phase == .quarantined,
                record.mapper < owners.count, table.state(slot) == state
            else {
                slot += 1
                continue
            }
            let its = owners[record.mapper]
            if owner == nil || owner === its {
                report.append(
                    LiveMapping(
                        ownerName: its.name,
                        buffer: GuestRange(
                            address: GuestAddress(record.bufferAddress),
                            byteCount: record.byteCount),
                        deviceRange: GuestRange(
                            address: GuestAddress(
                                windowAddress.rawValue
                                    + UInt64(slot * layout.geometry.slotByteCount + record.offset)),
                            byteCount: record.byteCount),
                        direction: record.direction, slotCount: state.count,
                        isQuarantined: state.phase == .quarantined,
                        ageMax: .milliseconds(Int(now &- record.epoch))))
            }
            slot += max(state.count, 1)
        }
        return report.sorted { $0.ageMax > $1.ageMax }
    }

    /// The live mapping that an owner, or anybody, has had longest.
    public func oldestMapping(of owner: PoolOwner? = nil) -> LiveMapping? {
        leakReport(of: owner).first
    }

    static func coarseMilliseconds() -> UInt64 {
        var time = timespec()
        // SAFETY: `time` is a local. Cannot fail: the clock exists on every Linux.
        unsafe clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }
}
