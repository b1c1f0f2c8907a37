public import SharedMemory

/// One thread's way into a ``BouncePool``.
///
/// Mappings come from the mapper's own area first and from the others when that is full. A mapping
/// may be unmapped by any mapper of the same pool; its slots go back to the area they came from.
///
/// **Threading.** A mapper is used by one thread at a time; the pool behind it by all of them. No
/// call waits or allocates.
public struct BounceMapper: ~Copyable, DMAMapper {
    public let pool: BouncePool
    /// The area that this mapper allocates from first.
    public let area: Int
    public let constraints: DMAConstraints
    public let maximumMappingByteCount: Int

    // The pool's parts, here as well: reaching them through `pool` would count references each
    // time.
    private let window: HostMemory
    private let windowAddress: UInt64
    private let privateMemory: MemoryMap
    private let bitmap: SlotBitmap
    private let firstSlotNumber: Int

    private let counters: MapperCounters
    private let ownSegments: Range<Int>
    /// Where the next search begins: the first slot of the run freed last, or else mapped last.
    private var hint: Int

    init(pool: BouncePool, area: Int, constraints: DMAConstraints, counters: MapperCounters) {
        self.pool = pool
        window = pool.window
        windowAddress = pool.windowAddress.rawValue
        privateMemory = pool.privateMemory
        bitmap = pool.bitmap
        firstSlotNumber = pool.firstSlotNumber
        self.area = area
        self.constraints = constraints
        self.counters = counters
        maximumMappingByteCount = PoolGeometry.maximumMappingByteCount(
            for: constraints, slotCount: pool.bitmap.slotCount)
        ownSegments = pool.segments(ofArea: area)
        hint = ownSegments.lowerBound * PoolGeometry.segmentSlotCount
    }

    public var copiedByteCount: Int {
        counters.copiedInByteCount.current + counters.copiedOutByteCount.current
    }

    deinit {
        pool.retire(counters)
    }

    /// Maps a buffer into slots of the window, copying it in unless it is from the device.
    ///
    /// - Complexity: one compare-and-swap in the ordinary case, and one copy of the buffer. A
    ///   search looks at each segment of the pool once at most.
    public mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection
    ) throws(MapRefusal) -> DMAMapping {
        precondition(buffer.byteCount > 0, "a buffer has a length")
        guard buffer.byteCount <= maximumMappingByteCount else {
            throw .tooLarge(maximumByteCount: maximumMappingByteCount)
        }
        guard privateMemory.contains(buffer) else { throw .outsidePrivateMemory }
        let request = SlotRequest(
            address: buffer.address.rawValue, byteCount: buffer.byteCount, constraints: constraints)
        guard let first = claim(request) else {
            counters.refusalCount.add(1)
            throw refusal(of: request)
        }
        let offset = first * PoolGeometry.slotByteCount + request.offset
        if direction.copiesIn {
            _ = privateMemory.copy(buffer, into: window, at: offset)
            counters.copiedInByteCount.add(buffer.byteCount)
        }
        counters.mapCount.add(1)
        let address = GuestAddress(windowAddress + UInt64(offset))
        return DMAMapping(
            buffer: buffer,
            deviceRange: GuestRange(address: address, byteCount: buffer.byteCount),
            direction: direction, slots: SlotRun(first: first, count: request.slotCount),
            pool: ObjectIdentifier(pool))
    }

    /// Ends a mapping, copying out the first `usedByteCount` bytes unless it is to the device.
    ///
    /// - Complexity: one compare-and-swap, and one copy of what was used.
    public mutating func unmap(_ mapping: consuming DMAMapping, usedByteCount: Int) {
        checkOwner(of: mapping)
        let count = min(max(usedByteCount, 0), mapping.buffer.byteCount)
        if mapping.direction.copiesOut, count > 0 {
            copyOut(mapping, offset: 0, byteCount: count)
        }
        let slots = mapping.end()
        bitmap.release(slots)
        counters.unmapCount.add(1)
        if ownSegments.contains(slots.first / PoolGeometry.segmentSlotCount) {
            hint = slots.first
        }
    }
}

extension BounceMapper {
    public mutating func syncForDevice(
        _ mapping: borrowing DMAMapping, offset: Int, byteCount: Int
    ) {
        checkOwner(of: mapping)
        let part = mapping.buffer.slice(offset: offset, byteCount: byteCount)
        guard mapping.direction.copiesIn, byteCount > 0 else { return }
        _ = privateMemory.copy(
            part, into: window, at: windowOffset(of: mapping) + offset)
        counters.copiedInByteCount.add(byteCount)
    }

    public mutating func syncForCPU(
        _ mapping: borrowing DMAMapping, offset: Int, byteCount: Int
    ) {
        checkOwner(of: mapping)
        precondition(
            offset >= 0 && byteCount >= 0 && offset <= mapping.buffer.byteCount
                && byteCount <= mapping.buffer.byteCount - offset,
            "a sync stays inside the mapping")
        guard mapping.direction.copiesOut, byteCount > 0 else { return }
        copyOut(mapping, offset: offset, byteCount: byteCount)
    }

    private func copyOut(_ mapping: borrowing DMAMapping, offset: Int, byteCount: Int) {
        let part = mapping.buffer.slice(offset: offset, byteCount: byteCount)
        // Cannot fail: `map` found the whole buffer in private memory, and the map is immutable.
        _ = privateMemory.copy(
            from: window, at: windowOffset(of: mapping) + offset, to: part)
        counters.copiedOutByteCount.add(byteCount)
    }

    private func checkOwner(of mapping: borrowing DMAMapping) {
        precondition(
            mapping.pool == ObjectIdentifier(pool), "a mapping goes back to the pool it is of")
    }

    private func windowOffset(of mapping: borrowing DMAMapping) -> Int {
        Int(mapping.deviceRange.address.rawValue - windowAddress)
    }
}

extension BounceMapper {
    /// Claims a run for a request and returns its first slot: the slots freed last if they fit,
    /// else the lowest run of the nearest segment, own area first.
    private mutating func claim(_ request: SlotRequest) -> Int? {
        if claimHint(request) { return hint }
        let current = hint / PoolGeometry.segmentSlotCount
        if let first = claim(request, in: current..<ownSegments.upperBound)
            ?? claim(request, in: ownSegments.lowerBound..<current)
        {
            hint = first
            return first
        }
        for step in 1..<max(pool.areaCount, 1) {
            let other = (area + step) % pool.areaCount
            if let first = claim(request, in: pool.segments(ofArea: other)) {
                counters.spillCount.add(1)
                return first
            }
        }
        return nil
    }

    /// Claims the run at the slot freed last, if it is free, long enough and where it may be.
    private func claimHint(_ request: SlotRequest) -> Bool {
        let slotInSegment = hint % PoolGeometry.segmentSlotCount
        return (firstSlotNumber &+ hint &- request.residue) & (request.stride &- 1) == 0
            && slotInSegment + request.slotCount <= PoolGeometry.segmentSlotCount
            && bitmap.claim(SlotRun(first: hint, count: request.slotCount))
    }

    private func claim(_ request: SlotRequest, in segments: Range<Int>) -> Int? {
        for segment in segments {
            let slot = segment * PoolGeometry.segmentSlotCount
            if let first = bitmap.claimLowest(
                segment: segment, count: request.slotCount,
                starts: request.starts(inSegmentAt: firstSlotNumber &+ slot))
            {
                return first
            }
        }
        return nil
    }

    private func refusal(of request: SlotRequest) -> MapRefusal {
        let (free, longest) = bitmap.measure()
        return free < request.slotCount
            ? .exhausted(freeSlotCount: free) : .fragmented(longestFreeRunSlotCount: longest)
    }
}
