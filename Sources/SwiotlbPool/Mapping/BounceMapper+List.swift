public import BasicContainers
public import SharedMemory

/// Scatter-gather.
extension BounceMapper {
    /// Buffers that one mapping of a list takes, at most; it also takes at most as many as it has
    /// slots.
    public static var listBufferCountMax: Int { 255 }

    /// Maps a list of buffers (`dma_map_sg`): into one contiguous run of slots where it fits, which
    /// is one descriptor and one operation of the device, else into several; all of it or nothing.
    ///
    /// The buffers of a mapping lie in the window one directly behind the other, in order. Only the
    /// first one's address counts for ``DMAConstraints/minimumAlignmentMask``. A buffer may be
    /// divided between two mappings.
    ///
    /// - Parameters:
    ///   - buffers: each at least one byte long.
    ///   - mappings: where the mappings go, in the order of the list; as many as it has free
    ///     capacity for, at most.
    /// - Throws: ``MapRefusal``; nothing was appended or copied then.
    /// - Complexity: as that many maps. No allocation.
    public mutating func map(
        _ buffers: Span<GuestRange>, _ direction: DMADirection, _ attributes: MapAttributes = [],
        into mappings: inout RigidArray<DMAMapping>
    ) throws(MapRefusal) {
        guard maximumMappingByteCount > 0 else { throw refused(.alignmentImpossible) }
        guard buffers.count > 0 else { throw refused(.empty) }
        for index in buffers.indices {
            guard buffers[index].byteCount > 0 else { throw refused(.empty) }
            guard privateMemory.contains(buffers[index]) else {
                throw refused(.outsidePrivateMemory)
            }
        }
        var byteCount = 0
        for index in buffers.indices { byteCount &+= buffers[index].byteCount }
        do throws(MapRefusal) { try checkQuota(byteCount >> slotShift) } catch {
            throw refused(error)
        }
        let begin = mappings.count
        do throws(MapRefusal) {
            var place = ListPlace()
            var slotCount = 0
            while place.number < buffers.count {
                guard mappings.count < mappings.capacity else {
                    // Shorter runs than there might be can be why there is no room.
                    guard leastMappingCount(for: buffers) <= mappings.capacity - begin else {
                        throw .tooLarge(maximumByteCount: maximumMappingByteCount)
                    }
                    throw .fragmented(longestFreeRunSlotCount: pool.allocator.longestFreeRun)
                }
                let mapping = try mapPrefix(
                    of: buffers, from: &place, direction, claimedSlotCount: slotCount)
                slotCount += mapping.slots.count
                mappings.append(mapping)
            }
        } catch {
            // Nothing was copied yet, so there is nothing to take back but the slots.
            while mappings.count > begin {
                let mapping = mappings.removeLast()
                release(mapping)
            }
            throw refused(error)
        }
        for index in begin..<mappings.count {
            finishList(mappings[index], attributes)
        }
    }

    /// A place in a list: a buffer, and how much of it is mapped already.
    private struct ListPlace {
        var number = 0
        var offset = 0
    }

    /// Maps as much of a list as one run can take, without copying.
    private mutating func mapPrefix(
        of buffers: Span<GuestRange>, from place: inout ListPlace, _ direction: DMADirection,
        claimedSlotCount: Int
    ) throws(MapRefusal) -> DMAMapping {
        var limit = maximumMappingByteCount
        while true {
            let (byteCount, bufferCount) = extent(of: buffers, from: place, limit: limit)
            let address = buffers[place.number].address.rawValue &+ UInt64(place.offset)
            var request = SlotRequest(
                address: address, byteCount: byteCount, placement: placement)
            if request.slotCount < bufferCount {
                request = request.lengthened(to: bufferCount, placement)
            }
            do throws(MapRefusal) {
                let (first, state) = try claim(request, claimedSlotCount: claimedSlotCount)
                return record(
                    buffers, &place, byteCount: byteCount, bufferCount: bufferCount, request, first,
                    state, direction)
            } catch {
                // Shorter runs may be free: half as long each time, down to a slot.
                guard case .fragmented = error, request.slotCount > 1, byteCount > 1 else {
                    throw error
                }
                limit = (byteCount + 1) / 2
            }
        }
    }

    /// How many bytes and buffers of a list, from a place on, one mapping of at most `limit` bytes
    /// takes.
    private func extent(
        of buffers: Span<GuestRange>, from place: ListPlace, limit: Int
    ) -> (byteCount: Int, bufferCount: Int) {
        var byteCount = 0
        var number = place.number
        let bufferMax = min(Self.listBufferCountMax, maximumMappingByteCount >> slotShift)
        while number < buffers.count, number - place.number < max(bufferMax, 1) {
            let rest = buffers[number].byteCount - (number == place.number ? place.offset : 0)
            guard rest <= limit - byteCount else {
                if byteCount < limit {
                    byteCount = limit
                    number += 1
                }
                break
            }
            byteCount += rest
            number += 1
        }
        return (byteCount, number - place.number)
    }

    /// How many mappings a list takes where every run is as long as it may be.
    private func leastMappingCount(for buffers: Span<GuestRange>) -> Int {
        var count = 0
        var place = ListPlace()
        while place.number < buffers.count {
            var (left, _) = extent(of: buffers, from: place, limit: maximumMappingByteCount)
            while left > 0 {
                let rest = buffers[place.number].byteCount - place.offset
                if left < rest {
                    place.offset += left
                    break
                }
                left -= rest
                place = ListPlace(number: place.number + 1)
            }
            count += 1
        }
        return count
    }

    private mutating func record(
        _ buffers: Span<GuestRange>, _ place: inout ListPlace, byteCount: Int, bufferCount: Int,
        _ request: SlotRequest, _ first: Int, _ state: RunState, _ direction: DMADirection
    ) -> DMAMapping {
        let address = buffers[place.number].address.rawValue &+ UInt64(place.offset)
        table.write(
            MappingRecord(
                bufferAddress: address, byteCount: byteCount, offset: request.offset,
                epoch: gate.epoch, mapper: index, direction: direction, bufferCount: bufferCount),
            at: first)
        var left = byteCount
        for number in 0..<bufferCount {
            let buffer = buffers[place.number]
            let count = min(buffer.byteCount - place.offset, left)
            if number > 0 {
                table.writeBuffer(
                    buffer.address.rawValue &+ UInt64(place.offset), byteCount: count,
                    at: first + number)
            }
            left -= count
            place.offset += count
            if place.offset == buffer.byteCount { place = ListPlace(number: place.number + 1) }
        }
        return DMAMapping(
            bufferAddress: address,
            deviceAddress: windowAddress &+ UInt64(first << slotShift + request.offset),
            byteCount: byteCount, direction: direction, state: state, firstSlot: first,
            isCacheable: ownSlots.contains(first & extentMask), isList: bufferCount > 1)
    }

    /// Gives a mapping's slots up without copying.
    private mutating func release(_ mapping: consuming DMAMapping) {
        let (run, state) = (mapping.slots, mapping.state)
        mapping.end()
        if hasQuota { owner.give(run.count) }
        if !ownSlots.contains(run.first & extentMask) { own.spillCount.add(-1) }
        pool.free(run, state)
    }

    /// Counts a mapping of a list and copies it in.
    private mutating func finishList(
        _ mapping: borrowing DMAMapping, _ attributes: MapAttributes
    ) {
        if scrub == .onOwnerChange { scrubIfForeign(mapping.slots) }
        if copiesIn(mapping.direction, attributes) {
            copyIn(mapping, offset: 0, byteCount: mapping.byteCount)
        }
        own.didMap(slotCount: mapping.slots.count)
    }

    /// The part of a list's buffer that a mapping is of.
    func buffer(_ number: Int, of mapping: borrowing DMAMapping) -> GuestRange {
        guard number == 0 else {
            let record = table.mapping(mapping.firstSlot + number)
            return GuestRange(
                address: GuestAddress(record.bufferAddress), byteCount: record.byteCount)
        }
        var first = mapping.byteCount
        for other in 1..<table.mapping(mapping.firstSlot).bufferCount {
            first -= table.mapping(mapping.firstSlot + other).byteCount
        }
        return GuestRange(address: GuestAddress(mapping.bufferAddress), byteCount: first)
    }
}
