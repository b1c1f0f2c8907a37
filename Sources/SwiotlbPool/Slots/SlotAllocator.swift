import BasicContainers

/// Finds, claims and frees runs of slots: the bitmap, and the hints that lead to the right segment.
///
/// **Threading.** Any thread at any time; nothing waits. A search may have taken slots for a moment
/// and given them back, so whoever has searched looks whether somebody waits for slots.
final class SlotAllocator: Sendable {
    let layout: PoolLayout
    let bitmap: SlotBitmap
    private let hints: SegmentHints
    private let segmentShift: Int
    /// The area of each segment of an extent, and which of the area's it is: a division spared.
    private let places: RigidArray<(area: UInt32, number: UInt32)>

    init(layout: PoolLayout) {
        self.layout = layout
        bitmap = SlotBitmap(slotLimit: layout.slotLimit)
        hints = SegmentHints(layout: layout)
        segmentShift = layout.segmentShift
        var places = RigidArray<(area: UInt32, number: UInt32)>(capacity: layout.segmentsPerExtent)
        for segment in 0..<layout.segmentsPerExtent {
            let (shard, number) = layout.shard(ofSegment: segment)
            places.append((UInt32(shard), UInt32(number)))
        }
        self.places = places
    }

    /// Claims a run for a request, in the preferred area if it has one, and in the others in turn
    /// if not.
    ///
    /// - Complexity: constant where hints are right: a few words of hints, then the words of one
    ///   segment. They are mended where they are not. For a length that is no power of two, segments
    ///   with runs of at least the next lower one are looked at until one fits; a request longer than
    ///   a segment walks the words of the area.
    func claim(_ request: SlotRequest, preferring area: Int) -> Int? {
        for step in 0..<layout.areaCount {
            let other =
                area + step < layout.areaCount ? area + step : area + step - layout.areaCount
            for extent in 0..<layout.extentCountMax {
                if let first = claim(request, area: other, extent: extent) { return first }
            }
        }
        return nil
    }

    /// Claims the lowest run of an area within an extent.
    func claim(_ request: SlotRequest, area: Int, extent: Int) -> Int? {
        guard request.slotCount <= layout.geometry.segmentSlotCount else {
            // Longer than a segment: whole words of many segments, the free ones few.
            let slots = layout.slots(ofArea: area)
            let base = extent << layout.extentShift
            return claimAcrossWords(
                of: base + slots.lowerBound..<base + slots.upperBound, request)
        }
        let firstSegment = extent &* layout.segmentStride &+ area &* layout.segmentsPerArea
        let shard = extent &* layout.areaCount &+ area
        let lengthClass = SegmentHints.lengthClass(of: request.slotCount)
        for index in 0..<hints.wordCount {
            let group = HintGroup(
                lengthClass: lengthClass, shard: shard, index: index,
                firstSegment: firstSegment &+ index &* 64)
            var segments = hints.word(index, ofClass: lengthClass, inShard: shard)
            while segments != 0 {
                let (found, refuted) = claim(request, in: segments, of: group)
                let revived = refuted == 0 ? 0 : clearHints(refuted, of: group)
                if found != nil { return found }
                // Only what was freed meanwhile deserves another look.
                segments = revived
            }
        }
        return nil
    }

    /// Up to 64 segments of a shard, whose hints of a class are one word.
    private struct HintGroup {
        let lengthClass: Int
        let shard: Int
        let index: Int
        let firstSegment: Int
    }

    /// Claims a run in one of some segments.
    ///
    /// - Returns: the run's first slot; and the segments that were looked at in vain and have nothing
    ///   that their hint stands for.
    private func claim(
        _ request: SlotRequest, in segments: UInt64, of group: HintGroup
    ) -> (first: Int?, refuted: UInt64) {
        var left = segments
        var refuted = UInt64(0)
        while left != 0 {
            let number = left.trailingZeroBitCount
            let slots = slots(ofSegment: group.firstSegment &+ number)
            if let found = claim(request, in: slots) { return (found, refuted) }
            if !bitmap.hasRun(of: 1 &<< group.lengthClass, in: slots) {
                refuted |= 1 &<< UInt64(number)
            }
            left &= left &- 1
        }
        return (nil, refuted)
    }

    /// Clears hints that turned out wrong, and sets those again that are right by now.
    ///
    /// - Returns: the latter.
    private func clearHints(_ wrong: UInt64, of group: HintGroup) -> UInt64 {
        hints.clear(wrong, index: group.index, ofClass: group.lengthClass, inShard: group.shard)
        var left = wrong
        var revived = UInt64(0)
        while left != 0 {
            let number = left.trailingZeroBitCount
            let slots = slots(ofSegment: group.firstSegment &+ number)
            if bitmap.hasRun(of: 1 &<< group.lengthClass, in: slots) {
                hints.set(
                    upTo: group.lengthClass, segment: group.index &* 64 &+ number,
                    inShard: group.shard)
                revived |= 1 &<< UInt64(number)
            }
            left &= left &- 1
        }
        return revived
    }

    private func slots(ofSegment segment: Int) -> Range<Int> {
        segment &<< segmentShift..<(segment &+ 1) &<< segmentShift
    }

    /// Frees a claimed run.
    func release(_ run: SlotRun) {
        bitmap.release(run)
        // Every segment that the run touches.
        var segment = run.first >> segmentShift
        repeat {
            let slots = slots(ofSegment: segment)
            let first = max(run.first, slots.lowerBound)
            let part = SlotRun(first: first, count: min(run.end, slots.upperBound) &- first)
            let length = bitmap.freeRunLength(around: part, within: slots)
            let place = places[segment & (layout.segmentStride &- 1)]
            let extent = segment &>> (layout.extentShift &- segmentShift)
            hints.set(
                upTo: SegmentHints.lengthClass(of: length), segment: Int(place.number),
                inShard: extent &* layout.areaCount &+ Int(place.area))
            segment += 1
        } while segment &<< segmentShift < run.end
    }

    /// Claims a given run if all of it is free: word by word in ascending order, given back where one
    /// is not.
    ///
    /// While a run across words is being claimed, another thread may find too little free.
    func claim(_ run: SlotRun) -> Bool {
        var slot = run.first
        while slot < run.end {
            let (word, mask) = SlotBitmap.part(of: run, from: slot)
            guard bitmap.clear(mask, inWord: word) else {
                if slot > run.first { release(SlotRun(first: run.first, count: slot - run.first)) }
                return false
            }
            slot = (word + 1) * 64
        }
        return true
    }

    private func claim(_ request: SlotRequest, in segment: Range<Int>) -> Int? {
        if request.slotCount <= 64, let found = bitmap.claimWithinWord(of: segment, request) {
            return found
        }
        return claimAcrossWords(of: segment, request)
    }

    /// Claims the lowest run that a request allows among the free runs of a range that touch a
    /// word's border: all that `claimWithinWord` does not find.
    func claimAcrossWords(of slots: Range<Int>, _ request: SlotRequest) -> Int? {
        var start = slots.lowerBound
        for index in slots.lowerBound / 64..<slots.upperBound / 64 {
            let free = bitmap.word(index)
            if free == .max { continue }
            let end = index * 64 + (~free).trailingZeroBitCount
            if end - start >= request.slotCount, let first = claim(request, from: start, to: end) {
                return first
            }
            start = (index + 1) * 64 - (~free).leadingZeroBitCount
        }
        guard slots.upperBound - start >= request.slotCount else { return nil }
        return claim(request, from: start, to: slots.upperBound)
    }

    /// Claims the first place that a request allows in a run which is free.
    private func claim(_ request: SlotRequest, from begin: Int, to end: Int) -> Int? {
        var start = request.firstStart(from: begin)
        while start + request.slotCount <= end {
            let run = SlotRun(first: start, count: request.slotCount)
            if request.allows(start), claim(run) { return start }
            start = request.firstStart(from: start + 1)
        }
        return nil
    }

    /// The longest free run within one segment; for the text of a refusal. A snapshot.
    ///
    /// - Complexity: the segments are looked at whose hints promise the longest runs.
    var longestFreeRun: Int {
        for lengthClass in (0...hints.topClass).reversed() {
            let longest = longestFreeRun(ofClass: lengthClass)
            if longest > 0 { return longest }
        }
        return 0
    }

    /// The longest free run of a class or more, in the segments whose hints promise one; 0 for none.
    private func longestFreeRun(ofClass lengthClass: Int) -> Int {
        var longest = 0
        for shard in 0..<layout.extentCountMax * layout.areaCount {
            let extent = shard / layout.areaCount
            let area = shard % layout.areaCount
            let firstSegment = extent * layout.segmentStride + area * layout.segmentsPerArea
            for index in 0..<hints.wordCount {
                let group = HintGroup(
                    lengthClass: lengthClass, shard: shard, index: index,
                    firstSegment: firstSegment + index * 64)
                var segments = hints.word(index, ofClass: lengthClass, inShard: shard)
                var refuted = UInt64(0)
                while segments != 0 {
                    let number = segments.trailingZeroBitCount
                    segments &= segments &- 1
                    let slots = slots(ofSegment: group.firstSegment + number)
                    let wanted = max(longest + 1, 1 << lengthClass)
                    if bitmap.hasRun(of: wanted, in: slots) {
                        longest = longestRun(from: wanted, in: slots)
                    } else if longest == 0 {
                        refuted |= 1 << UInt64(number)
                    }
                }
                if refuted != 0 { _ = clearHints(refuted, of: group) }
            }
        }
        return longest
    }

    /// The longest free run of a segment that has one of `length` slots.
    private func longestRun(from length: Int, in slots: Range<Int>) -> Int {
        var (low, high) = (length, slots.count)
        while low < high {
            // Rarely much longer than the class that it was found by.
            let middle = min((low + high + 1) / 2, low * 2)
            if bitmap.hasRun(of: middle, in: slots) { low = middle } else { high = middle - 1 }
        }
        return low
    }
}
