import BasicContainers
import SharedMemory
import TestSupport

@testable import SwiotlbPool

/// Map, unmap, sync, and lists.
extension PoolModel {
    static let directions: [DMADirection] = [.toDevice, .fromDevice, .bidirectional]

    func buffer(_ range: Range<Int>) -> GuestRange {
        GuestRange(
            address: GuestAddress(Self.memoryAddress + UInt64(range.lowerBound)),
            byteCount: range.count)
    }

    /// Mostly short lengths, now and then any.
    func length(_ number: Int, atMost most: Int) -> Int {
        let scale = [100, 2 * slotByteCount, 10 * slotByteCount, 5000, most][number % 5]
        return 1 + number / 5 % min(most, scale)
    }

    private func attributes(_ number: Int) -> MapAttributes {
        switch number % 16 {
        case 0: .skipSync
        case 1: .overwritten
        case 2: [.skipSync, .overwritten]
        default: []
        }
    }

    private func place(_ number: Int, _ byteCount: Int) -> Range<Int> {
        // Short buffers near each other, so that they overlap at times.
        let room = privateMemory.byteCount - byteCount + 1
        let first = number % (number % 2 == 0 ? room : min(room, 5000))
        return first..<first + byteCount
    }

    func map(_ operation: ModelOperation, _ by: ModelMapper) {
        let most = by.mapper.maximumMappingByteCount
        // Now and then a byte too many (6).
        let byteCount =
            operation.a % 500 == 0 ? most + 1 : length(operation.a, atMost: most)
        let range = place(operation.b, byteCount)
        let direction = Self.directions[operation.c % 3]
        let attributes = attributes(operation.c / 3)
        let address = Self.memoryAddress + UInt64(range.lowerBound)
        do throws(MapRefusal) {
            let box = MappingBox(try by.mapper.map(buffer(range), direction, attributes))
            let need = need(address, byteCount, by.setting)
            if byteCount > most { fail("\(byteCount) bytes are mapped") }
            if standsBack(by.setting.owner) { fail("a newcomer was served while others wait") }
            begin(box, [range], direction, need, by, attributes)
        } catch {
            expectRefusal(error, by)
            guard byteCount <= most else {
                return require(error == .tooLarge(maximumByteCount: most), "\(error)")
            }
            let need = need(address, byteCount, by.setting)
            checkShortage(error, need, owner: by.setting.owner)
        }
    }

    /// Counts a refusal.
    func expectRefusal(_ refusal: MapRefusal, _ by: ModelMapper) {
        expected.refusals[refusal.reason] += 1
        expectedOfOwner[by.setting.owner].refusals[refusal.reason] += 1
    }

    /// Everything that a new mapping is to be.
    func begin(
        _ box: MappingBox, _ buffers: [Range<Int>], _ direction: DMADirection, _ need: Need,
        _ by: ModelMapper, _ attributes: MapAttributes, origin: Int? = nil
    ) {
        let owner = by.setting.owner
        let id = nextID
        nextID += 1
        let slots = box.slots.first..<box.slots.end
        take(slots, need, for: id)
        let deviceOffset = Int(box.device.address.rawValue &- pool.windowAddress.rawValue)
        require(
            deviceOffset == slots.lowerBound * slotByteCount + need.offset,
            "the payload is at \(deviceOffset) of the window, in \(slots)")
        let byteCount = buffers.reduce(0) { $0 + $1.count }
        require(box.device.byteCount == byteCount, "\(box.device.byteCount) bytes are mapped")
        require(box.buffer.address == buffer(buffers[0]).address, "another buffer is mapped")
        let holding = ModelHolding(
            id: id, origin: origin ?? makeOrigin(), kind: .mapped(box), buffers: buffers,
            direction: direction, slots: slots,
            deviceOffset: deviceOffset, byteCount: byteCount, maker: by.incarnation)
        holdings.append(holding)
        guard failure == nil else { return }
        if owners[owner].quotaSlotCount != nil { quotaUsed[owner] += slots.count }
        by.incarnation.liveSlotCount += slots.count
        by.incarnation.highWaterSlotCount = max(
            by.incarnation.highWaterSlotCount, by.incarnation.liveSlotCount)
        count(owner) {
            $0.mapCount += 1
            let inExtent = slots.lowerBound & ((1 << pool.layout.extentShift) - 1)
            if !pool.layout.slots(ofArea: by.mapper.area).contains(inExtent) { $0.spillCount += 1 }
        }
        if setting.scrub == .onOwnerChange { changeOwner(of: slots, to: owner) }
        let copiesIn =
            direction != .fromDevice
            || (setting.copyBack == .prefill && !attributes.contains(.overwritten))
        // (13): a copy that is skipped, and a promise to overwrite.
        if copiesIn, !attributes.contains(.skipSync) {
            copyIn(holding, 0, byteCount)
        }
        check(holding)
    }

    /// Changes figures of the pool, and the same of an owner.
    func count(_ owner: Int, _ change: (inout PoolStatistics) -> Void) {
        change(&expected)
        change(&expectedOfOwner[owner])
    }

    /// (22): what one owner left in a slot, no other ever meets.
    private func changeOwner(of slots: Range<Int>, to owner: Int) {
        var differs = false
        for slot in slots {
            if lastOwners[slot] != owner, lastOwners[slot] != -1 { differs = true }
            lastOwners[slot] = owner
        }
        if differs { scrub(slots, owner) }
    }

    private func scrub(_ slots: Range<Int>, _ owner: Int) {
        let byteCount = slots.count * slotByteCount
        window.store(
            [UInt8](repeating: 0, count: byteCount), at: slots.lowerBound * slotByteCount)
        count(owner) { $0.scrubbedByteCount += byteCount }
    }

    /// (9), (12): exactly this part, exactly these bytes.
    private func copyIn(_ holding: ModelHolding, _ offset: Int, _ byteCount: Int) {
        for piece in holding.pieces(offset: offset, byteCount: byteCount) {
            window.store(
                memory.load(at: piece.memory.lowerBound, byteCount: piece.memory.count),
                at: holding.deviceOffset + piece.offset)
        }
        copiedIn += byteCount
    }

    private func copyOut(_ holding: ModelHolding, _ offset: Int, _ byteCount: Int) {
        for piece in holding.pieces(offset: offset, byteCount: byteCount) {
            memory.store(
                window.load(
                    at: holding.deviceOffset + piece.offset, byteCount: piece.memory.count),
                at: piece.memory.lowerBound)
        }
        expected.copiedOutByteCount += byteCount
    }

    private var copiedIn: Int {
        get { expected.copiedInByteCount }
        set { expected.copiedInByteCount = newValue }
    }

    func unmap(_ operation: ModelOperation, _ by: ModelMapper) {
        guard let (index, box) = mapped(operation.a) else { return }
        let holding = holdings.remove(at: index)
        let all = holding.byteCount
        let most = setting.copyBack == .trusted ? all : all + 5
        let used = [
            all, operation.b % (all + 1), 0, min(all + 1, most),
            setting.copyBack == .trusted ? 0 : [-1, .min, .max][operation.b % 3],
        ][operation.c % 5]
        let attributes: MapAttributes = operation.c / 5 % 12 == 0 ? .skipSync : []
        by.mapper.unmap(box.take(), usedByteCount: used, attributes)
        var copied = 0
        if holding.direction != .toDevice, attributes != .skipSync {
            // (18): never more than was reported and mapped; (10): the rest is as it was.
            copied = setting.copyBack == .prefill ? .max : max(0, min(used, all))
            if used < 0 || used > all {
                count(by.setting.owner) { $0.overreportCount += 1 }
            }
        }
        didEndMapping(holding, by, copiedOut: copied)
        check(holding)
    }

    /// Everything that the end of a mapping is to do.
    func didEndMapping(_ holding: ModelHolding, _ by: ModelMapper, copiedOut: Int) {
        if holding.direction != .toDevice, copiedOut > 0 {
            copyOut(holding, 0, min(copiedOut, holding.byteCount))
        }
        if setting.scrub == .onFree { scrub(holding.slots, by.setting.owner) }
        count(by.setting.owner) { $0.unmapCount += 1 }
        didFree(holding)
    }

    func didFree(_ holding: ModelHolding) {
        give(holding)
        guard let maker = holding.maker else { return }
        maker.liveSlotCount -= holding.slots.count
        if owners[maker.owner].quotaSlotCount != nil {
            quotaUsed[maker.owner] -= holding.slots.count
        }
    }

    /// A live mapping, and its place among the holdings.
    func mapped(_ number: Int) -> (Int, MappingBox)? {
        let index = choose(number) { kind in
            if case .mapped = kind { true } else { false }
        }
        guard let index, case .mapped(let box) = holdings[index].kind else { return nil }
        return (index, box)
    }

    func sync(_ operation: ModelOperation, _ by: ModelMapper) {
        guard let (index, box) = mapped(operation.a) else { return }
        let holding = holdings[index]
        let offset = operation.b % (holding.byteCount + 1)
        let byteCount = operation.c % (holding.byteCount - offset + 1)
        if operation.kind == .syncForDevice {
            box.syncForDevice(&by.mapper, offset: offset, byteCount: byteCount)
            // (11): a mapping from the device is left alone.
            if holding.direction != .fromDevice { copyIn(holding, offset, byteCount) }
        } else {
            box.syncForCPU(&by.mapper, offset: offset, byteCount: byteCount)
            if holding.direction != .toDevice { copyOut(holding, offset, byteCount) }
        }
        check(holding)
    }

    /// A list has a slot for each buffer, and whole units of the allocation's alignment.
    private func listSlotCount(
        _ payload: Int, _ bufferCount: Int, _ setting: ModelSetting.Mapper
    ) -> Int {
        var count = max(payload, bufferCount)
        while UInt64(count * slotByteCount) & setting.constraints.allocationAlignmentMask != 0 {
            count += 1
        }
        return count
    }

    func mapList(_ operation: ModelOperation, _ by: ModelMapper) {
        let most = by.mapper.maximumMappingByteCount
        var ranges: [Range<Int>] = []
        var generator = SeededGenerator(seed: UInt64(operation.b))
        for _ in 0..<1 + operation.a % [3, 8, 40][operation.a % 3] {
            ranges.append(
                place(generator.below(1 << 30), length(generator.below(1 << 30), atMost: 5000)))
        }
        let direction = Self.directions[operation.c % 3]
        let attributes = attributes(operation.c / 3)
        let total = ranges.reduce(0) { $0 + $1.count }
        var whole = need(
            Self.memoryAddress + UInt64(ranges[0].lowerBound), min(total, most), by.setting)
        whole.slotCount = listSlotCount(whole.slotCount, ranges.count, by.setting)
        let couldBeOne =
            total <= most && ranges.count <= most / slotByteCount
            && !standsBack(by.setting.owner) && hasQuota(by.setting.owner, whole.slotCount)
            && fits(whole)
        let mappings = MappingList()
        if let error = mappings.map(by, ranges.map { buffer($0) }, direction, attributes) {
            expectRefusal(error, by)
            // (8): nothing, and (4): not where one run would have done.
            require(mappings.boxes.isEmpty, "mappings of a list that was refused")
            require(!couldBeOne, "\(error), though one run would do")
            let quota = owners[by.setting.owner].quotaSlotCount
            let isLimited = quota != nil
            if let quota, error == .tooLarge(maximumByteCount: quota * slotByteCount) {
                return require(
                    whole.slotCount > quota || total > quota * slotByteCount,
                    "\(error) of \(total) bytes")
            }
            require(
                error.isTemporary && (error != .othersWait || standsBack(by.setting.owner))
                    && (error.reason != .quotaReached || isLimited), "\(error) of a list")
            return
        }
        require(!standsBack(by.setting.owner), "a list was served while others wait")
        let boxes = mappings.boxes
        require(!couldBeOne || boxes.count == 1, "a list that fits is \(boxes.count) runs")
        begin(boxes, ranges, direction, attributes, by)
    }

    func hasQuota(_ owner: Int, _ slotCount: Int) -> Bool {
        guard let quota = owners[owner].quotaSlotCount else { return true }
        return quotaUsed[owner] + slotCount <= quota
    }

    /// The mappings of a list.
    private func begin(
        _ boxes: [MappingBox], _ ranges: [Range<Int>], _ direction: DMADirection,
        _ attributes: MapAttributes, _ by: ModelMapper
    ) {
        var rest = ranges[...]
        for box in boxes {
            var left = box.device.byteCount
            var parts: [Range<Int>] = []
            while left > 0, let range = rest.popFirst() {
                let part = range.prefix(left)
                parts.append(part)
                left -= part.count
                if part.count < range.count {
                    rest.insert(part.upperBound..<range.upperBound, at: rest.startIndex)
                }
            }
            guard left == 0, !parts.isEmpty else { return fail("a list of other lengths") }
            let byteCount = box.device.byteCount
            require(byteCount <= by.mapper.maximumMappingByteCount, "\(byteCount) bytes in a run")
            var need = need(
                Self.memoryAddress + UInt64(parts[0].lowerBound), byteCount, by.setting)
            need.slotCount = listSlotCount(need.slotCount, parts.count, by.setting)
            begin(box, parts, direction, need, by, attributes)
        }
        require(rest.isEmpty, "a list that was not mapped to its end")
    }
}

/// Swift 6.3.1 makes broken code of this where it is part of a longer function.
private final class MappingList {
    private var mappings = RigidArray<DMAMapping>(capacity: 256)

    func map(
        _ by: ModelMapper, _ buffers: [GuestRange], _ direction: DMADirection,
        _ attributes: MapAttributes
    ) -> MapRefusal? {
        do throws(MapRefusal) {
            try by.mapper.map(buffers.span, direction, attributes, into: &mappings)
            return nil
        } catch {
            return error
        }
    }

    /// In order; the list is empty then.
    var boxes: [MappingBox] {
        var boxes: [MappingBox] = []
        while !mappings.isEmpty { boxes.append(MappingBox(mappings.removeLast())) }
        return boxes.reversed()
    }
}
