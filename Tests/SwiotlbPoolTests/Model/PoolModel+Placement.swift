import SharedMemory

@testable import SwiotlbPool

/// Where runs may be, by looking at every slot.
extension PoolModel {
    /// What a run must be like.
    struct Need {
        var slotCount: Int
        var offset = 0
        /// Multiples of this: device addresses where a run may begin.
        var alignment: UInt64 = 1
        /// The bits of `kept` that the payload's device address has.
        var kept: UInt64 = 0
        var keptBits: UInt64 = 0
        var boundary: UInt64 = .max
    }

    /// Linux's rules, from reference/swiotlb.md.
    func need(_ address: UInt64, _ byteCount: Int, _ mapper: ModelSetting.Mapper) -> Need {
        let rule = PlacementRule(
            address: address, byteCount: byteCount, constraints: mapper.constraints,
            slotByteCount: UInt64(slotByteCount))
        return Need(
            slotCount: rule.slotCount, offset: Int(rule.offset), alignment: rule.start + 1,
            kept: mapper.kept, keptBits: address & mapper.kept, boundary: mapper.boundary)
    }

    /// Whether a run may begin at a slot, free or not (5).
    func allows(_ need: Need, at slot: Int) -> Bool {
        let start = pool.windowAddress.rawValue + UInt64(slot * slotByteCount)
        guard start % need.alignment == 0,
            (start + UInt64(need.offset)) & need.kept == need.keptBits
        else { return false }
        guard need.boundary != .max else { return true }
        let boundary = max(need.boundary, UInt64(slotByteCount) - 1)
        return start | boundary == (start + UInt64(need.slotCount * slotByteCount) - 1) | boundary
    }

    /// The pieces of the window that a run of this length stays in (1): segments, or where it is
    /// longer than that, areas.
    func pieces(for slotCount: Int) -> [Range<Int>] {
        var result: [Range<Int>] = []
        for extent in 0..<setting.extents {
            let base = pool.layout.slots(ofExtent: extent).lowerBound
            for area in 0..<pool.areaCount {
                let slots = pool.layout.slots(ofArea: area)
                guard slotCount <= setting.segmentSlotCount else {
                    result.append(base + slots.lowerBound..<base + slots.upperBound)
                    continue
                }
                for first in stride(
                    from: base + slots.lowerBound, to: base + slots.upperBound,
                    by: setting.segmentSlotCount)
                {
                    result.append(first..<first + setting.segmentSlotCount)
                }
            }
        }
        return result
    }

    /// Whether any run fits among the free slots, by looking at each (4).
    func fits(_ need: Need) -> Bool {
        for piece in pieces(for: need.slotCount) {
            var run = 0
            var slot = piece.upperBound
            while slot > piece.lowerBound {
                slot -= 1
                run = holders[slot] == Self.free ? run + 1 : 0
                if run >= need.slotCount, allows(need, at: slot) { return true }
            }
        }
        return false
    }

    var freeSlotCount: Int {
        var count = 0
        for holder in holders where holder == Self.free { count += 1 }
        return count
    }

    var longestFreeRun: Int {
        var longest = 0
        var run = 0
        for slot in holders.indices {
            if slot % setting.segmentSlotCount == 0 { run = 0 }
            run = holders[slot] == Self.free ? run + 1 : 0
            longest = max(longest, run)
        }
        return longest
    }

    /// Checks a run that the pool has given out, and makes it somebody's.
    func take(_ slots: Range<Int>, _ need: Need, for id: Int32) {
        // (5): as long as its payload and pads need, and no longer.
        require(slots.count == need.slotCount, "\(slots.count) slots, not \(need.slotCount)")
        // (1): inside the window, a segment, an area.
        guard slots.lowerBound >= 0, slots.upperBound <= slotLimit else {
            return fail("\(slots) is outside the window")
        }
        require(
            pieces(for: slots.count).contains {
                $0.lowerBound <= slots.lowerBound && $0.upperBound >= slots.upperBound
            }, "\(slots) crosses the border of a segment or an area")
        require(allows(need, at: slots.lowerBound), "\(slots) is not where \(need) may be")
        // (1), (21): disjoint from all that is live, quarantine included.
        for slot in slots where holders[slot] != Self.free {
            return fail("slot \(slot) of \(slots) is held by \(holders[slot])")
        }
        for slot in slots { holders[slot] = id }
    }

    func give(_ holding: ModelHolding) {
        for slot in holding.slots {
            require(holders[slot] == holding.id, "the model lost slot \(slot)")
            holders[slot] = Self.free
        }
    }

    /// Checks a refusal for want of slots or quota; the reasons and their figures.
    func checkShortage(_ refusal: MapRefusal, _ need: Need, owner: Int) {
        if standsBack(owner) {
            return require(refusal == .othersWait, "\(refusal) though others wait")
        }
        if let quota = owners[owner].quotaSlotCount, need.slotCount > quota {
            return require(
                refusal == .tooLarge(maximumByteCount: quota * slotByteCount),
                "\(refusal), but a quota of \(quota) never allows \(need.slotCount)")
        }
        if let quota = owners[owner].quotaSlotCount, quotaUsed[owner] + need.slotCount > quota {
            return require(
                refusal
                    == .quotaReached(quotaSlotCount: quota, usedSlotCount: quotaUsed[owner]),
                "\(refusal), but the quota of \(quota) is reached at \(quotaUsed[owner])")
        }
        // (4), (23): whoever has quota left gets a run that is there.
        require(!fits(need), "\(refusal) though \(need) fits")
        let free = freeSlotCount
        if free < need.slotCount {
            return require(
                refusal == .exhausted(freeSlotCount: free), "\(refusal) with \(free) free slots")
        }
        require(
            refusal == .fragmented(longestFreeRunSlotCount: longestFreeRun),
            "\(refusal) with \(free) free slots, the longest run \(longestFreeRun)")
    }
}
