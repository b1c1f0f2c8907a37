/// Where extents, areas and segments lie in the numbers of slots.
///
/// Slot n is n slots behind the window's address. Extents begin at multiples of a power of two of
/// slots, so that a shift tells the extent of a slot or an address. Within each extent, an area is a
/// range of segments; the last area also has what an even division leaves over.
struct PoolLayout: Hashable, Sendable {
    let geometry: PoolGeometry
    let extentCountMax: Int
    let extentSlotCount: Int
    /// Slot n is in extent `n >> extentShift`.
    let extentShift: Int
    let areaCount: Int
    let segmentsPerArea: Int
    let segmentsPerExtent: Int
    let segmentShift: Int
    /// From one extent's first segment to the next one's.
    let segmentStride: Int

    static let slotCountMax = 1 << 24

    init(geometry: PoolGeometry, extentByteCount: Int, extentCountMax: Int, areaCount: Int) {
        self.geometry = geometry
        self.extentCountMax = extentCountMax
        extentSlotCount = extentByteCount / geometry.slotByteCount
        extentShift = Int.bitWidth - (extentSlotCount - 1).leadingZeroBitCount
        let segmentCount = extentSlotCount / geometry.segmentSlotCount
        // An area has room for the longest mapping, where the extent has.
        self.areaCount = min(areaCount, max(segmentCount / geometry.segmentsPerMapping, 1))
        segmentsPerArea = segmentCount / self.areaCount
        segmentsPerExtent = segmentCount
        segmentShift = geometry.segmentSlotCount.trailingZeroBitCount
        segmentStride = (1 << extentShift) >> segmentShift
    }

    /// Slot numbers are below this.
    var slotLimit: Int { extentCountMax << extentShift }
    var segmentsPerShardMax: Int { segmentsPerExtent - segmentsPerArea * (areaCount - 1) }

    /// Slots of the longest run that any extent has in one of its areas, between two boundaries,
    /// where nothing is in use; not less than a segment, whatever the boundary.
    ///
    /// - Parameters:
    ///   - boundary: in slots, a power of two or `Int.max`, counted from device address 0.
    ///   - base: the number of slot 0 in that count, a multiple of a segment.
    func runSlotCountMax(boundary: Int, base: Int) -> Int {
        let segment = geometry.segmentSlotCount
        // Segments lie between boundaries that are not shorter.
        guard geometry.segmentsPerMapping > 1, boundary > segment else {
            return min(geometry.runSlotCountMax, segmentsPerShardMax * segment)
        }
        var least = geometry.runSlotCountMax
        for extent in 0..<extentCountMax {
            var longest = 0
            for area in 0..<areaCount {
                let slots = slots(ofArea: area)
                var start = base + (extent << extentShift) + slots.lowerBound
                let end = start + slots.count
                while start < end {
                    let next = boundary == .max ? end : min(end, (start | (boundary - 1)) + 1)
                    longest = max(longest, next - start)
                    start = next
                }
            }
            least = min(least, longest)
        }
        return least
    }

    /// The slots of an area within any extent, counted from the extent's first.
    func slots(ofArea area: Int) -> Range<Int> {
        let segments = segments(ofArea: area)
        return segments.lowerBound << segmentShift..<segments.upperBound << segmentShift
    }

    func segments(ofArea area: Int) -> Range<Int> {
        let first = area * segmentsPerArea
        return first..<(area == areaCount - 1 ? segmentsPerExtent : first + segmentsPerArea)
    }

    func slots(ofExtent extent: Int) -> Range<Int> {
        let first = extent << extentShift
        return first..<first + extentSlotCount
    }

    /// The part of an area that lies in an extent: what is searched in one go.
    func shard(ofSegment segment: Int) -> (shard: Int, segmentInShard: Int) {
        let extent = segment >> (extentShift - segmentShift)
        let inExtent = segment & (segmentStride - 1)
        let area = min(inExtent / segmentsPerArea, areaCount - 1)
        return (extent * areaCount + area, inExtent - area * segmentsPerArea)
    }
}
