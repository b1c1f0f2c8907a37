import SharedMemory
import TestSupport

@testable import SwiotlbPool

/// What device and driver write, coherent memory, and extents.
extension PoolModel {
    /// The device writes a part of what it was given, whatever the direction, also of what was
    /// taken from it since (21).
    func deviceWrite(_ operation: ModelOperation) {
        guard let index = choose(operation.a, { _ in true }) else { return }
        let holding = holdings[index]
        let byteCount = 1 + operation.b % min(holding.byteCount, 2000)
        var generator = SeededGenerator(seed: UInt64(operation.c))
        let offset = operation.c % (holding.byteCount - byteCount + 1)
        write(generator.bytes(byteCount), atDeviceOffset: holding.deviceOffset + offset)
    }

    /// A hostile device writes anywhere (15): payloads suffer, and nothing else.
    func scribble(_ operation: ModelOperation) {
        let extent = operation.a % extents.count
        guard let memory = extents[extent] else { return }
        var generator = SeededGenerator(seed: UInt64(operation.c))
        let bytes = generator.bytes(operation.b % 3000)
        let offset = operation.c % (memory.byteCount - bytes.count)
        write(
            bytes,
            atDeviceOffset: pool.layout.slots(ofExtent: extent).lowerBound * slotByteCount + offset)
    }

    private func write(_ bytes: [UInt8], atDeviceOffset offset: Int) {
        let (extent, inExtent) = place(offset)
        guard let memory = extents[extent] else { return fail("a write to no extent") }
        memory.store(bytes.span, at: inExtent)
        window.store(bytes, at: offset)
    }

    func place(_ deviceOffset: Int) -> (extent: Int, offset: Int) {
        let extentByteCount = slotByteCount << pool.layout.extentShift
        return (deviceOffset / extentByteCount, deviceOffset % extentByteCount)
    }

    func driverWrite(_ operation: ModelOperation) {
        var generator = SeededGenerator(seed: UInt64(operation.c))
        let bytes = generator.bytes(1 + operation.b % 3000)
        let offset = operation.c % (privateMemory.byteCount - bytes.count)
        privateMemory.store(bytes.span, at: offset)
        memory.store(bytes, at: offset)
    }

    func allocateCoherent(_ operation: ModelOperation) {
        let longest = pool.layout.segmentsPerShardMax * setting.segmentSlotCount * slotByteCount
        let byteCount =
            operation.a % 10 == 0 ? 1 + operation.b % longest : length(operation.b, atMost: 20_000)
        let alignment =
            1 << (operation.c % (pool.layout.geometry.segmentByteCount.trailingZeroBitCount + 1))
        let need = Need(
            slotCount: (byteCount + slotByteCount - 1) / slotByteCount,
            alignment: UInt64(max(alignment, 4096)))
        do throws(PoolError) {
            let box = CoherentBox(
                try pool.allocateCoherent(byteCount: byteCount, alignment: alignment))
            let deviceOffset = Int(
                box.allocation.deviceRange.address.rawValue &- pool.windowAddress.rawValue)
            let first = deviceOffset / slotByteCount
            let slots = first..<first + need.slotCount
            let id = nextID
            nextID += 1
            take(slots, need, for: id)
            guard failure == nil else { return }
            require(deviceOffset % slotByteCount == 0, "a ring inside a slot")
            require(
                box.allocation.memory === extents[place(deviceOffset).extent]
                    && box.allocation.memoryOffset == place(deviceOffset).offset,
                "a ring in another memory")
            clear(slots)
            for slot in slots { lastOwners[slot] = -1 }
            let holding = ModelHolding(
                id: id, origin: makeOrigin(), kind: .coherent(box), buffers: [],
                direction: .bidirectional, slots: slots, deviceOffset: deviceOffset,
                byteCount: byteCount, maker: nil)
            expected.coherentSlotCount += slots.count
            holdings.append(holding)
            check(holding)
        } catch {
            require(error == .noSpace(slotCount: need.slotCount), "\(error)")
            require(!fits(need), "\(error), though it fits")
        }
    }

    func freeCoherent(_ operation: ModelOperation) {
        let index = choose(operation.a, among: holdings.count) { kind in
            if case .coherent = kind { true } else { false }
        }
        guard let index else { return }
        let holding = holdings.remove(at: index)
        // Dropped there, with its box.
        didFreeCoherent(holding)
        check(holding)
    }

    func didFreeCoherent(_ holding: ModelHolding) {
        if setting.scrub != .never { clear(holding.slots) }
        expected.coherentSlotCount -= holding.slots.count
        give(holding)
        holding.kind = .parked(MappingToken(rawValue: 0))
    }

    func addExtent(_ operation: ModelOperation) {
        let next = extents.firstIndex { $0 == nil }
        require(pool.nextExtent == next, "the next extent is \(pool.nextExtent ?? -1)")
        let byteCount = pool.layout.extentSlotCount * slotByteCount
        do {
            let extent = try HostMemory.anonymous(byteCount: byteCount)
            // Somebody's bytes, who is none of the owners.
            let value = UInt8(1 + operation.c % 255)
            extent.fill(at: 0, byteCount: byteCount, with: value)
            guard let next else {
                do throws(PoolError) {
                    try pool.addExtent(extent)
                    fail("an extent too many")
                } catch {
                    require(error == .tooManyExtents(maximum: extents.count), "\(error)")
                }
                return
            }
            let slots = pool.layout.slots(ofExtent: next)
            window.store(
                [UInt8](repeating: value, count: byteCount), at: slots.lowerBound * slotByteCount)
            extents[next] = extent
            for slot in slots {
                holders[slot] = Self.free
                lastOwners[slot] = -2
            }
            let index = try pool.addExtent(extent)
            require(index == next, "extent \(index), not \(next)")
            let address = pool.address(ofExtent: next)
            require(
                pool.extent(of: address) == next && pool.memory(ofExtent: next) === extent,
                "extent \(next) is not found by its address")
        } catch {
            fail("\(error)")
        }
    }

    func drain(_ operation: ModelOperation) {
        let extent = operation.a % extents.count
        guard extents[extent] != nil else {
            return require(drained(extent) == nil, "an extent that is not there is drained")
        }
        var left = 0
        for slot in pool.layout.slots(ofExtent: extent) {
            switch holders[slot] {
            case Self.free: holders[slot] = Self.draining
            case Self.draining: break
            default: left += 1
            }
        }
        let told = drained(extent)
        require(told == left, "\(told ?? -1) slots of \(left) are left")
        drainingExtents.insert(extent)
        guard left == 0 else { return }
        drainingExtents.remove(extent)
        extents[extent] = nil
        for slot in pool.layout.slots(ofExtent: extent) { holders[slot] = Self.absent }
        require(pool.memory(ofExtent: extent) == nil, "a drained extent is kept")
    }

    private func drained(_ extent: Int) -> Int? {
        do throws(PoolError) {
            return try pool.drain(extent: extent)
        } catch {
            require(error == .noSuchExtent, "\(error)")
            return nil
        }
    }

    func cancelDrain(_ operation: ModelOperation) {
        // Mostly one that is under way.
        let extent =
            operation.b % 4 == 0
            ? operation.a % extents.count
            : drainingExtents.min() ?? operation.a % extents.count
        let isDraining = drainingExtents.remove(extent) != nil
        if isDraining {
            for slot in pool.layout.slots(ofExtent: extent) where holders[slot] == Self.draining {
                holders[slot] = Self.free
            }
        }
        do throws(PoolError) {
            try pool.cancelDrain(extent: extent)
            require(isDraining, "a drain was cancelled that was none")
        } catch {
            require(error == .noSuchExtent && !isDraining, "\(error)")
        }
    }

    func remakeMapper(_ by: ModelMapper) {
        do throws(PoolError) {
            by.mapper = try makeMapper(by.setting)
            by.incarnation = ModelMapper.Incarnation(owner: by.setting.owner)
            incarnations.append(by.incarnation)
        } catch {
            // Places of mappers that left mappings behind are taken.
            require(error == .tooManyMappers(maximum: 12), "\(error)")
            let taken = incarnations.filter { incarnation in
                incarnation.liveSlotCount > 0
                    || mappers.contains { $0.incarnation === incarnation }
            }
            require(taken.count >= 12, "\(error) with \(taken.count) places taken")
        }
        incarnations.removeAll { incarnation in
            guard incarnation.liveSlotCount == 0,
                !mappers.contains(where: { $0.incarnation === incarnation })
            else { return false }
            retiredHighWater += incarnation.highWaterSlotCount
            return true
        }
    }

    func resetHighWater() {
        pool.resetHighWaterMarks()
        retiredHighWater = 0
        for incarnation in incarnations {
            incarnation.highWaterSlotCount = incarnation.liveSlotCount
        }
    }
}
