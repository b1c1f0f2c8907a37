public import SharedMemory
import Synchronization

/// Growth and shrinking by whole extents, each as long as the first.
extension BouncePool {
    /// Where the device is to see an extent: extents lie one behind the other, at distances of their
    /// length rounded up to a power of two.
    ///
    /// - Precondition: the index is not negative, and below ``PoolConfiguration/extentCountMax``.
    public func address(ofExtent index: Int) -> GuestAddress {
        GuestAddress(
            windowAddress.rawValue
                + UInt64(index << layout.extentShift) * UInt64(layout.geometry.slotByteCount))
    }

    /// Which extent an address of the device is in; `nil` where it is in none that exists.
    ///
    /// - Complexity: constant.
    public func extent(of address: GuestAddress) -> Int? {
        guard address >= windowAddress else { return nil }
        let slot =
            (address.rawValue - windowAddress.rawValue) / UInt64(layout.geometry.slotByteCount)
        guard slot < UInt64(layout.slotLimit) else { return nil }
        let index = Int(slot) >> layout.extentShift
        guard layout.slots(ofExtent: index).contains(Int(slot)) else { return nil }
        return registry.withLock { $0.extents[index] != nil } ? index : nil
    }

    /// The memory of an extent; `nil` where there is none of this index.
    public func memory(ofExtent index: Int) -> HostMemory? {
        guard index >= 0, index < layout.extentCountMax else { return nil }
        return registry.withLock { $0.extents[index] }
    }

    /// Adds memory to the pool. The device must see it at ``address(ofExtent:)`` of the result
    /// before the next mapping: that is, ask for the next index (``nextExtent``), announce the
    /// memory, then add it.
    ///
    /// - Returns: the extent's index.
    /// - Throws: ``PoolError`` where the memory is not as long as the first extent, or the pool has
    ///   as many extents as it was configured for.
    @discardableResult
    public func addExtent(_ memory: HostMemory) throws(PoolError) -> Int {
        let expected = layout.extentSlotCount * layout.geometry.slotByteCount
        guard memory.byteCount == expected else {
            throw .extentLengthDiffers(expectedByteCount: expected)
        }
        let index = try registry.withLock { registry throws(PoolError) in
            guard let index = registry.extents.firstIndex(where: { $0 == nil }) else {
                throw .tooManyExtents(maximum: layout.extentCountMax)
            }
            registry.extents[index] = memory
            return index
        }
        // Whatever the memory holds, it is nobody's of before.
        lastOwners?.set(
            SlotRun(first: index << layout.extentShift, count: layout.extentSlotCount),
            SlotOwners.stranger)
        // Before the slots can be claimed: a mapper that claims one sees the change of the gate.
        gate.extentsChanged()
        addSlots(ofExtent: index)
        if gate.hasWaiters { serveWaiters() }
        return index
    }

    /// The index that the next extent will have; `nil` where the pool cannot grow.
    public var nextExtent: Int? {
        registry.withLock { $0.extents.firstIndex { $0 == nil } }
    }

    /// Removes an extent as soon as nothing uses it.
    ///
    /// The extent's free slots are taken out of use at once, the others by further calls, where they
    /// are free at the moment. What is freed between two calls can be mapped again, so under load this
    /// comes to its end only with mappings that end for good. The first extent can be removed like any
    /// other.
    ///
    /// - Returns: how many slots are still in use; 0 when the extent is gone, and its memory
    ///   released.
    /// - Throws: ``PoolError/noSuchExtent``.
    /// - Complexity: linear in the slots of the extent.
    public func drain(extent index: Int) throws(PoolError) -> Int {
        // Whoever has searched or collected looks whether somebody waits.
        defer { if gate.hasWaiters { serveWaiters() } }
        return try registry.withLock { registry throws(PoolError) in
            guard index >= 0, index < layout.extentCountMax, registry.extents[index] != nil else {
                throw .noSuchExtent
            }
            registry.draining.insert(index)
            _ = waiters.collectCaches()
            var left = 0
            for slot in layout.slots(ofExtent: index) {
                if table.state(slot).phase == .draining { continue }
                let run = SlotRun(first: slot, count: 1)
                if allocator.claim(run) {
                    _ = table.begin(run, .draining)
                    drainingSlotCount.wrappingAdd(1, ordering: .relaxed)
                } else {
                    left += 1
                }
            }
            guard left == 0 else { return left }
            for slot in layout.slots(ofExtent: index) {
                table.store(table.state(slot).with(.free), at: slot)
            }
            registry.extents[index] = nil
            presentSlotCount.wrappingSubtract(layout.extentSlotCount, ordering: .relaxed)
            drainingSlotCount.wrappingSubtract(layout.extentSlotCount, ordering: .relaxed)
            registry.draining.remove(index)
            gate.extentsChanged()
            return 0
        }
    }

    /// Takes back a ``drain(extent:)`` that has not come to its end.
    ///
    /// - Throws: ``PoolError/noSuchExtent`` where the extent is not being drained.
    public func cancelDrain(extent index: Int) throws(PoolError) {
        try registry.withLock { registry throws(PoolError) in
            guard registry.draining.remove(index) != nil else { throw .noSuchExtent }
            for slot in layout.slots(ofExtent: index) {
                let state = table.state(slot)
                guard state.phase == .draining else { continue }
                table.store(state.with(.free), at: slot)
                drainingSlotCount.wrappingSubtract(1, ordering: .relaxed)
                allocator.release(SlotRun(first: slot, count: 1))
            }
        }
        if gate.hasWaiters { serveWaiters() }
    }

    /// The host's addresses of all extents; an empty range where there is none.
    var extentRanges: [HostRange] {
        registry.withLock { registry in
            let empty = HostRange.empty
            return registry.extents.map { $0?.hostRange ?? empty }
        }
    }

    func addSlots(ofExtent index: Int) {
        let slots = layout.slots(ofExtent: index)
        presentSlotCount.wrappingAdd(slots.count, ordering: .relaxed)
        var slot = slots.lowerBound
        while slot < slots.upperBound {
            let count = min(slots.upperBound - slot, layout.geometry.segmentSlotCount)
            allocator.release(SlotRun(first: slot, count: count))
            slot += count
        }
    }
}
