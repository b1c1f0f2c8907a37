import BasicContainers
public import SharedMemory
import Synchronization

#if BOUNCE_SLOWDOWN_INSTRUCTIONS
import CSlowdown
#endif

/// One thread's way into a ``BouncePool``.
///
/// Mappings come from the mapper's own area first and from the others when that is full. A mapping
/// may be unmapped by any mapper of the same pool; its slots go back to the area they came from.
///
/// **Threading.** A mapper is used by one thread at a time; the pool behind it by all of them. A call
/// waits or allocates in these cases only: it frees or searches for slots while reservations wait,
/// takes their queue's lock and serves them; it is the first one after an extent came or went; or it
/// unmaps another mapper's mapping whose owner has a quota.
public struct BounceMapper: ~Copyable, DMAMapper {
    public let pool: BouncePool
    public let owner: PoolOwner
    /// The area that this mapper allocates from first.
    public let area: Int
    public let constraints: DMAConstraints
    public let maximumMappingByteCount: Int

    // The pool's parts, here as well: reaching them through `pool` would count references each
    // time.
    let privateMemory: MemoryMap
    let table: SlotTable
    let gate: PoolGate
    /// What this mapper counts and caches.
    let own: MapperState
    let windowAddress: UInt64
    let placement: Placement
    let slotShift: Int
    let extentShift: Int
    let extentMask: Int
    /// The own area's slots within an extent.
    let ownSlots: Range<Int>
    let copyBack: CopyBackPolicy
    let scrub: ScrubPolicy
    let hasQuota: Bool
    /// The longest buffer of which nothing but its length decides where it may lie; 0 where there
    /// are constraints or a quota.
    private let plainByteCountMax: UInt64
    /// The first region of private memory, where most buffers are: its address and length.
    private let plainBegin: UInt64
    private let plainLength: UInt64
    /// Whether a run that is freed can be cached without further ado: neither quota nor scrubbing.
    private let cachesPlainly: Bool
    /// Directions that are copied in at map, a bit each.
    private let copyInDirections: UInt8
    private let slotMask: Int
    private let pageSlotMask: Int
    let hasFastBarrier: Bool
    /// The mapper's place in the pool's tables.
    let index: Int

    /// The host's addresses of the extents, as of `knownGate`.
    private var windows: [HostRange]
    private(set) var knownGate: UInt64

    init(
        pool: BouncePool, index: Int, area: Int, owner: PoolOwner, constraints: DMAConstraints
    ) {
        // Locals, for a reason: Swift 6.3.1 releases a reference too many in optimised builds where
        // the initialiser of a type like this reads its own properties.
        let layout = pool.layout
        let geometry = layout.geometry
        let shift = geometry.slotByteCount.trailingZeroBitCount
        let placement = Placement(
            constraints, geometry, base: Int(pool.windowAddress.rawValue >> UInt64(shift)))
        let byteCountMax = geometry.maximumMappingByteCount(
            for: constraints,
            runSlotCountMax: layout.runSlotCountMax(
                boundary: placement.boundary, base: placement.base))
        let hasQuota = owner.quotaSlotCount != nil
        let (begin, byteCount) =
            pool.privateMemory.regions.first.map { ($0.guestAddress.rawValue, $0.byteCount) }
            ?? (0, 0)
        self.pool = pool
        self.owner = owner
        self.area = area
        self.constraints = constraints
        self.index = index
        maximumMappingByteCount = byteCountMax
        privateMemory = pool.privateMemory
        table = pool.table
        gate = pool.gate
        own = pool.mappers[index]
        windowAddress = pool.windowAddress.rawValue
        slotShift = shift
        self.placement = placement
        extentShift = layout.extentShift
        extentMask = (1 << layout.extentShift) - 1
        ownSlots = layout.slots(ofArea: area)
        copyBack = pool.configuration.copyBack
        let scrub = pool.configuration.scrub
        self.scrub = scrub
        self.hasQuota = hasQuota
        // To the device and bidirectional, and from the device as well with prefill.
        copyInDirections = pool.configuration.copyBack == .prefill ? 0b111 : 0b101
        let isPlain =
            !placement.isConstrained && !hasQuota && scrub != .onOwnerChange
            && AsymmetricBarrier.isAvailable
        plainByteCountMax = isPlain ? UInt64(byteCountMax) : 0
        plainBegin = begin
        plainLength = UInt64(byteCount)
        cachesPlainly = !hasQuota && scrub != .onFree
        slotMask = placement.slotMask
        pageSlotMask = placement.pageStride - 1
        hasFastBarrier = AsymmetricBarrier.isAvailable
        knownGate = PoolGate.resting(pool.gate.current)
        windows = pool.extentRanges
    }

    deinit {
        pool.retire(mapper: index)
    }

    public var copiedByteCount: Int {
        own.copiedInByteCount.current
            + own.copiedOutByteCount.current
    }

    /// Maps a buffer into slots of the window, copying it in unless it is from the device.
    ///
    /// - Throws: ``MapRefusal``; nothing but a count has changed then.
    /// - Complexity: where a run of the same length was freed lately, some plain stores; else a
    ///   search that looks at one segment in the ordinary case, and a compare-and-swap. And one
    ///   copy of the buffer.
    public mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection
    ) throws(MapRefusal) -> DMAMapping {
        #if BOUNCE_SLOWDOWN_INSTRUCTIONS
        slowdown_instructions()
        #endif
        let address = buffer.address.rawValue
        let byteCount = buffer.byteCount
        let offset = address &- plainBegin
        // What is seldom otherwise. A length of 0 and an address outside wrap, and fail.
        guard UInt64(truncatingIfNeeded: byteCount &- 1) < plainByteCountMax,
            offset < plainLength, UInt64(truncatingIfNeeded: byteCount) <= plainLength &- offset
        else { return try map(buffer, direction, []) }
        // A page or more is page aligned, as in Linux where nobody asked for anything else.
        let slotCount = (byteCount &+ slotMask) &>> slotShift
        let mask = byteCount >= PoolGeometry.pageByteCount ? pageSlotMask : 0
        guard
            let (first, state) = own.caches.pop(
                slotCount: slotCount, mask: mask,
                for: MappingRecord(
                    bufferAddress: address, byteCount: byteCount, offset: 0, epoch: gate.epoch,
                    mapper: index, direction: direction, bufferCount: 1),
                table: table, gate: gate, knownGate: knownGate)
        else { return try map(buffer, direction, []) }
        own.didMap(slotCount: slotCount)
        let mapping = DMAMapping(
            bufferAddress: address,
            deviceAddress: windowAddress &+ UInt64(truncatingIfNeeded: first &<< slotShift),
            byteCount: byteCount, direction: direction, state: state, firstSlot: first,
            isCacheable: true)
        if copyInDirections &>> direction.rawValue & 1 != 0 { copyIn(mapping) }
        return mapping
    }

    /// Ends a mapping, copying out what the pool's policy has it, unless it is to the device.
    ///
    /// - Complexity: a few stores, and one copy of what was used.
    public mutating func unmap(_ mapping: consuming DMAMapping, usedByteCount: Int) {
        unmap(mapping, usedByteCount: usedByteCount, [])
    }

    @inline(__always)
    public mutating func unmap(
        _ mapping: consuming DMAMapping, usedByteCount: Int, _ attributes: MapAttributes
    ) {
        let maker = table.mapper(of: mapping.firstSlot, mapping.state)
        if mapping.direction.copiesOut, !attributes.contains(.skipSync) {
            let count = copyBackByteCount(usedByteCount, of: mapping.byteCount)
            if count > 0 { copyOut(mapping, byteCount: count) }
        }
        let (first, state, isCacheable) = (mapping.firstSlot, mapping.state, mapping.isCacheable)
        mapping.end()
        guard maker == index, isCacheable, cachesPlainly else {
            return free(first, state, of: maker)
        }
        own.didUnmap(slotCount: state.count)
        guard own.caches.push(first, state, table: table) else { return putAway(first, state) }
        // G1.
        AsymmetricBarrier.light(isAvailable: hasFastBarrier)
        if gate.hasWaiters { pool.serveWaiters() }
    }

    /// Checks a buffer and says what a mapping of it needs, for ``BouncePool/reserve(_:deadline:_:)``.
    ///
    /// - Throws: ``MapRefusal`` for what no pool can ever map.
    public func request(
        for buffer: GuestRange, _ direction: DMADirection, _ attributes: MapAttributes = []
    ) throws(MapRefusal) -> MapRequest {
        guard buffer.byteCount > 0, buffer.byteCount <= maximumMappingByteCount,
            privateMemory.contains(buffer)
        else { throw refused(invalid(buffer)) }
        let slots = SlotRequest(
            address: buffer.address.rawValue, byteCount: buffer.byteCount, placement: placement)
        do throws(MapRefusal) { try checkQuota(slots.slotCount) } catch { throw refused(error) }
        return MapRequest(
            buffer: buffer, direction: direction, attributes: attributes, slots: slots, area: area,
            owner: owner, queue: pool.waiters)
    }

    /// Maps the buffer of a granted reservation into its slots.
    ///
    /// - Throws: ``ReservationFailure/cancelled`` where the reservation has no slots: it was cancelled
    ///   or mapped before, or not granted yet.
    /// - Precondition: the request comes from a mapper of the same pool and owner.
    public mutating func map(
        _ reservation: SlotReservation
    ) throws(ReservationFailure) -> DMAMapping {
        precondition(
            reservation.queue === pool.waiters && reservation.request.owner === owner,
            "a reservation is mapped by its own pool and owner")
        guard let (run, state) = reservation.take(toMap: true) else { throw .cancelled }
        let request = reservation.request
        pool.waiters.didMap(run)
        learnExtentsIfChanged()
        if !ownSlots.contains(run.first & extentMask) { own.spillCount.add(1) }
        let mapped = state.with(.mapped)
        table.store(mapped, at: run.first)
        return begin(
            run.first, mapped, run.count, offset: request.slots.offset, request.buffer,
            request.direction, request.attributes)
    }
}

// The steps of a mapping.
extension BounceMapper {
    /// Maps a buffer with what the driver knows of it, and where something is out of the ordinary:
    /// constraints, a quota, waiters, new extents, nothing cached.
    @inline(never)
    public mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection, _ attributes: MapAttributes
    ) throws(MapRefusal) -> DMAMapping {
        guard buffer.byteCount > 0, buffer.byteCount <= maximumMappingByteCount,
            privateMemory.contains(buffer)
        else { throw refused(invalid(buffer)) }
        let request = SlotRequest(
            address: buffer.address.rawValue, byteCount: buffer.byteCount, placement: placement)
        let run: (first: Int, state: RunState)
        do throws(MapRefusal) { run = try claim(request) } catch { throw refused(error) }
        return begin(
            run.first, run.state, request.slotCount, offset: request.offset, buffer, direction,
            attributes)
    }

    /// Others come first, also for what this mapper has cached: a collector leaves alone the run that
    /// a mapper is about to take, and nobody else would free that one.
    @inline(never)
    private mutating func standBack() -> MapRefusal {
        if own.caches.collect(into: pool.allocator, table: table) { pool.serveWaiters() }
        return .othersWait
    }

    /// Claims a run and counts it against the quota. Refusals are the caller's to count: not each of
    /// a list's attempts is one.
    ///
    /// - Parameter claimedSlotCount: slots that the caller has claimed already and not counted yet.
    mutating func claim(
        _ request: SlotRequest, claimedSlotCount: Int = 0
    ) throws(MapRefusal) -> (Int, RunState) {
        let seen = gate.current
        if seen != knownGate {
            if seen & 1 != 0, pool.waiters.isShortOfSlots || owner.hasWaiters { throw standBack() }
            if PoolGate.resting(seen) != knownGate { learnExtents() }
        }
        if hasQuota {
            try checkQuota(request.slotCount)
            guard owner.take(request.slotCount) else { throw owner.refusal }
        }
        if let run = own.caches.popShared(request, table: table) { return run }
        return try claimFromBitmap(request, claimedSlotCount)
    }

    /// Refuses what the owner's quota can never allow: waiting would not help.
    func checkQuota(_ slotCount: Int) throws(MapRefusal) {
        guard let quota = owner.quotaSlotCount, slotCount > quota else { return }
        throw .tooLarge(maximumByteCount: quota << slotShift)
    }

    @inline(never)
    private mutating func claimFromBitmap(
        _ request: SlotRequest, _ claimedSlotCount: Int
    ) throws(MapRefusal) -> (Int, RunState) {
        guard let first = pool.claim(request, preferring: area, for: own) else {
            if hasQuota {
                owner.give(request.slotCount)
                // Who began to wait a moment ago may have been held up by these.
                if gate.hasWaiters { pool.serveWaiters() }
            }
            throw pool.shortage(request, claimedSlotCount: claimedSlotCount)
        }
        // An extent that came in the meantime: its slots were claimed, so its change of the gate is
        // seen.
        learnExtentsIfChanged()
        if !ownSlots.contains(first & extentMask) {
            own.spillCount.add(1)
        }
        return (first, table.begin(SlotRun(first: first, count: request.slotCount), .mapped))
    }

    /// Records a mapping in slots that were claimed, and copies it in.
    mutating func begin(
        _ first: Int, _ state: RunState, _ slotCount: Int, offset: Int, _ buffer: GuestRange,
        _ direction: DMADirection, _ attributes: MapAttributes
    ) -> DMAMapping {
        table.write(
            MappingRecord(
                bufferAddress: buffer.address.rawValue, byteCount: buffer.byteCount, offset: offset,
                epoch: gate.epoch, mapper: index, direction: direction, bufferCount: 1),
            at: first)
        own.didMap(slotCount: slotCount)
        let mapping = DMAMapping(
            bufferAddress: buffer.address.rawValue,
            deviceAddress: windowAddress
                &+ UInt64(truncatingIfNeeded: first &<< slotShift &+ offset),
            byteCount: buffer.byteCount, direction: direction, state: state, firstSlot: first,
            isCacheable: ownSlots.contains(first & extentMask))
        if scrub == .onOwnerChange { scrubIfForeign(mapping.slots) }
        if copiesIn(direction, attributes) { copyIn(mapping) }
        return mapping
    }

    /// Frees the slots of a mapping whose copies are done.
    @inline(never)
    mutating func free(_ first: Int, _ state: RunState, of maker: Int) {
        let run = SlotRun(first: first, count: state.count)
        if scrub == .onFree { clear(run) }
        if maker == index {
            own.didUnmap(slotCount: run.count)
            if hasQuota { owner.give(run.count) }
        } else {
            freeForeign(run, of: maker)
        }
        if ownSlots.contains(first & extentMask) {
            putAway(first, state)
        } else {
            pool.free(run, state)
        }
    }

    /// Caches a run of the own area, or frees it where there is no place.
    @inline(never)
    private mutating func putAway(_ first: Int, _ state: RunState) {
        let isCached =
            own.caches.push(first, state, table: table)
            || (own.caches.makePlace(for: state, table: table)
                && own.caches.push(first, state, table: table))
        guard isCached else {
            return pool.free(SlotRun(first: first, count: state.count), state)
        }
        // G1.
        AsymmetricBarrier.light(isAvailable: hasFastBarrier)
        if gate.hasWaiters { pool.serveWaiters() }
    }

    /// Counts slots that another mapper mapped.
    @inline(never)
    private mutating func freeForeign(_ run: SlotRun, of mapper: Int) {
        own.unmapCount.add(1)
        // Before the slots are counted as gone: afterwards, the mapper's place may be another's.
        pool.giveQuota(run.count, ofMapper: mapper)
        pool.mappers[mapper].foreignUnmappedSlotCount.wrappingAdd(
            run.count, ordering: .relaxed)
    }

    @inline(__always)
    func copiesIn(_ direction: DMADirection, _ attributes: MapAttributes) -> Bool {
        if attributes.rawValue == 0 { return copyInDirections &>> direction.rawValue & 1 != 0 }
        return !attributes.contains(.skipSync) && direction.copiesIn
    }

    /// How much of a mapping is copied back where the device reports that it used so much.
    @inline(__always)
    private func copyBackByteCount(_ used: Int, of byteCount: Int) -> Int {
        if used >= 0, used <= byteCount, copyBack != .prefill { return used }
        switch copyBack {
        case .trusted:
            preconditionFailure("a trusted used length is not longer than the mapping")
        case .clamped:
            own.overreportCount.add(1)
            return min(max(used, 0), byteCount)
        case .prefill:
            if used < 0 || used > byteCount { own.overreportCount.add(1) }
            return byteCount
        }
    }

    /// What is wrong with a buffer that is not valid.
    private func invalid(_ buffer: GuestRange) -> MapRefusal {
        if buffer.byteCount == 0 { return .empty }
        if maximumMappingByteCount == 0 { return .alignmentImpossible }
        return buffer.byteCount > maximumMappingByteCount
            ? .tooLarge(maximumByteCount: maximumMappingByteCount) : .outsidePrivateMemory
    }

    func refused(_ refusal: MapRefusal) -> MapRefusal {
        own.refusals[refusal.reason.rawValue].add(1)
        return refusal
    }

    /// To be called before slots are touched: they may be of an extent that was added after this
    /// mapper's last call.
    @inline(__always)
    mutating func learnExtentsIfChanged() {
        if PoolGate.resting(gate.current) != knownGate { learnExtents() }
    }

    @inline(never)
    private mutating func learnExtents() {
        // In this order: what is learned is at least as new as the gate says.
        knownGate = PoolGate.resting(gate.current)
        windows = pool.extentRanges
    }

    /// Where a part of the window is in this process.
    @inline(__always)
    func hostRange(deviceAddress: UInt64, byteCount: Int) -> HostRange {
        let offset = Int(deviceAddress &- windowAddress)
        let extent = offset &>> (extentShift &+ slotShift)
        let inExtent = offset & (1 &<< (extentShift &+ slotShift) &- 1)
        return windows[extent].dropFirst(inExtent).prefix(byteCount)
    }

    /// Traps unless the pool knows of the mapping.
    func check(_ mapping: borrowing DMAMapping) {
        _ = table.mapper(of: mapping.firstSlot, mapping.state)
    }

    @inline(never)
    mutating func scrubIfForeign(_ run: SlotRun) {
        if pool.lastOwners?.change(run, to: owner.number) == true { clear(run) }
    }

    @inline(never)
    private mutating func clear(_ run: SlotRun) {
        learnExtentsIfChanged()
        let byteCount = run.count << slotShift
        let range = hostRange(
            deviceAddress: windowAddress &+ UInt64(run.first << slotShift), byteCount: byteCount)
        // SAFETY: the pool keeps an extent's memory while slots of it are claimed.
        unsafe range.clear()
        own.scrubbedByteCount.add(byteCount)
    }
}
