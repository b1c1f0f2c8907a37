import BasicContainers
import Synchronization

/// Tokens and quarantine.
extension BounceMapper {
    /// Turns a mapping into a token, to be given to a ring and to come back from it.
    ///
    /// - Complexity: one store.
    public func park(_ mapping: consuming DMAMapping) -> MappingToken {
        check(mapping)
        let (slot, state) = (mapping.firstSlot, mapping.state)
        mapping.end()
        table.store(state.with(.parked), at: slot)
        return MappingToken(slot: slot, generation: state.generation, pool: pool.number)
    }

    /// Turns a token back into its mapping, once.
    ///
    /// Any mapper of the pool may do so, of whatever thread and owner.
    ///
    /// - Throws: ``TokenFault`` for a token that is not of a parked mapping of this pool, or was
    ///   redeemed before.
    /// - Complexity: one compare-and-swap.
    public func redeem(_ token: MappingToken) throws(TokenFault) -> DMAMapping {
        let slot = token.slot
        let state = try parked(token, as: .parked)
        // Once more claimed, so that the next token of the same mapping is another one.
        let mapped = state.claimed(.mapped)
        guard table.exchange(state, for: mapped, at: slot) else { throw .stale }
        let record = table.mapping(slot)
        return DMAMapping(
            bufferAddress: record.bufferAddress,
            deviceAddress: windowAddress &+ UInt64(slot << slotShift + record.offset),
            byteCount: record.byteCount, direction: record.direction, state: mapped,
            firstSlot: slot,
            isCacheable: record.mapper == index && ownSlots.contains(slot & extentMask),
            isList: record.bufferCount > 1)
    }

    /// Gives a mapping up while the device may still write to it: a request that was cancelled or
    /// timed out.
    ///
    /// Nothing is copied back, now or later, and the buffer is the driver's again. The slots stay in
    /// use until ``release(quarantined:)`` says of this mapping, or
    /// ``BouncePool/releaseQuarantine(of:)`` of all, that the device is done with them.
    public func quarantine(_ mapping: consuming DMAMapping) -> MappingToken {
        check(mapping)
        let (slot, state) = (mapping.firstSlot, mapping.state)
        mapping.end()
        pool.quarantinedSlotCount.wrappingAdd(state.count, ordering: .relaxed)
        table.store(state.with(.quarantined), at: slot)
        return MappingToken(slot: slot, generation: state.generation, pool: pool.number)
    }

    /// The same for a mapping that is parked. The token stays the same.
    ///
    /// - Throws: ``TokenFault``.
    public func quarantine(_ token: MappingToken) throws(TokenFault) {
        let state = try parked(token, as: .parked)
        pool.quarantinedSlotCount.wrappingAdd(state.count, ordering: .relaxed)
        guard table.exchange(state, for: state.with(.quarantined), at: token.slot) else {
            pool.quarantinedSlotCount.wrappingSubtract(state.count, ordering: .relaxed)
            throw .stale
        }
    }

    /// Frees the slots of a quarantined mapping, because the device is done with it: the completion
    /// came after all.
    ///
    /// - Throws: ``TokenFault``.
    public mutating func release(quarantined token: MappingToken) throws(TokenFault) {
        let state = try parked(token, as: .quarantined)
        let mapped = state.claimed(.mapped)
        guard table.exchange(state, for: mapped, at: token.slot) else { throw .stale }
        pool.quarantinedSlotCount.wrappingSubtract(state.count, ordering: .relaxed)
        free(token.slot, mapped, of: table.mapper(token.slot))
    }

    /// The state of the run that a token names.
    private func parked(
        _ token: MappingToken, as phase: RunPhase
    ) throws(TokenFault) -> RunState {
        guard token.pool == pool.number else { throw .otherPool }
        guard token.slot < pool.layout.slotLimit else { throw .outOfRange }
        let state = table.state(token.slot)
        guard state.generation == token.generation else { throw .stale }
        if state.phase == phase { return state }
        throw state.phase == .quarantined ? .quarantined : .stale
    }
}

extension BouncePool {
    /// Puts every parked mapping of an owner into quarantine: its backend is dead, or does not
    /// answer.
    ///
    /// - Returns: how many there were.
    /// - Complexity: linear in the pool's slots.
    @discardableResult
    public func quarantineParked(of owner: PoolOwner) -> Int {
        forEachRun(of: owner, in: .parked) { slot, state in
            quarantinedSlotCount.wrappingAdd(state.count, ordering: .relaxed)
            guard table.exchange(state, for: state.with(.quarantined), at: slot) else {
                quarantinedSlotCount.wrappingSubtract(state.count, ordering: .relaxed)
                return false
            }
            return true
        }
    }

    /// Frees every quarantined mapping of an owner, because nothing can write to them any more: the
    /// device was reset, or its process is gone and with it the window's mapping.
    ///
    /// - Returns: how many there were.
    /// - Complexity: linear in the pool's slots.
    @discardableResult
    public func releaseQuarantine(of owner: PoolOwner) -> Int {
        forEachRun(of: owner, in: .quarantined) { slot, state in
            let mapper = table.mapper(slot)
            let ended = state.claimed(.mapped)
            guard table.exchange(state, for: ended, at: slot) else { return false }
            quarantinedSlotCount.wrappingSubtract(state.count, ordering: .relaxed)
            let run = SlotRun(first: slot, count: state.count)
            if configuration.scrub == .onFree { clear(run) }
            owner.give(run.count)
            mappers[mapper].foreignUnmappedSlotCount.wrappingAdd(
                run.count, ordering: .relaxed)
            quarantineEndCount.wrappingAdd(1, ordering: .relaxed)
            free(run, ended)
            return true
        }
    }

    private func forEachRun(
        of owner: PoolOwner, in phase: RunPhase, _ body: (Int, RunState) -> Bool
    ) -> Int {
        var count = 0
        for slot in 0..<layout.slotLimit {
            let state = table.state(slot)
            guard state.phase == phase else { continue }
            // Whose it is cannot change while the mapping is live; whether it still is, `body` decides
            // by exchanging the state.
            let maker = mappers[table.mapper(slot)]
            if maker.ownerNumber.load(ordering: .relaxed) == owner.number, body(slot, state) {
                count += 1
            }
        }
        return count
    }
}
