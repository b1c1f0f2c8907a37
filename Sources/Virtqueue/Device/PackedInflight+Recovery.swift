import BasicContainers
import SharedMemory

// How a queue starts on a region: everything is read here, once, and checked.
extension PackedInflight {
    /// Makes a region that no device has used one where nothing is under way.
    static func initialize(
        _ region: InflightRegion, used: PackedPosition, nexts: inout RigidArray<UInt16>,
        lasts: inout RigidArray<UInt16>
    ) {
        for row in 0..<UInt16(region.queueSize) {
            nexts.append(row &+ 1)
            lasts.append(row)
            region.store(row &+ 1, at: Self.row(row) &+ Row.next)
            region.store(0 as UInt8, at: Self.row(row) &+ Row.inflight)
        }
        region.store(0 as UInt64, at: InflightRegion.featuresOffset)
        region.store(UInt16(region.queueSize), at: InflightRegion.rowCountOffset)
        region.store(0 as UInt16, at: Header.freeHead)
        region.store(0 as UInt16, at: Header.oldFreeHead)
        store(region, used: used, old: used)
        region.store(InflightRegion.version, at: InflightRegion.versionOffset)
    }

    /// Completes the batch that a former device was publishing, or takes it back.
    static func settle(
        _ region: InflightRegion, size: Int, ring: borrowing RingArea
    ) throws(QueueFault) -> (freeHead: UInt16, used: PackedPosition) {
        let freeHead = region.load(UInt16.self, at: Header.freeHead)
        let oldFreeHead = region.load(UInt16.self, at: Header.oldFreeHead)
        let word = UInt64(littleEndian: region.load(at: Header.positions))
        let used = position(index: word, wrap: word >> 32)
        let old = position(index: word >> 16, wrap: word >> 40)
        // A free list that is used up ends at the row behind the last.
        guard freeHead <= region.queueSize, oldFreeHead <= region.queueSize,
            used.index < size, old.index < size
        else { throw .invalidInflightRegion }
        var former = (freeHead: oldFreeHead, used: old)
        if used != old {
            // The driver has seen the batch if the descriptor that it looks at is no more as it made
            // it available.
            let word = ring.load(UInt64.self, at: Descriptor.byteCount * Int(old.index) + 8)
            let flags =
                Descriptor(address: 0, word: word).packedFlags
                & (Descriptor.available | Descriptor.used)
            if flags != old.availableFlags { former = (freeHead, used) }
        }
        // The old ones last: until they are stored, a successor comes to the same decision.
        region.store(former.freeHead, at: Header.freeHead)
        store(region, used: former.used, old: old)
        region.store(former.freeHead, at: Header.oldFreeHead)
        store(region, used: former.used, old: former.used)
        return former
    }

    /// Reads the rows: each is free, or of one buffer that is under way.
    ///
    /// - Returns: the counter to go on with.
    static func recover(
        _ region: InflightRegion, size: Int, freeHead: UInt16, nexts: inout RigidArray<UInt16>,
        lasts: inout RigidArray<UInt16>, left: inout RigidArray<LeftBuffer>,
        leftDescriptors: inout RigidArray<Descriptor>
    ) throws(QueueFault) -> UInt64 {
        for row in 0..<UInt16(region.queueSize) {
            nexts.append(region.load(UInt16.self, at: Self.row(row) &+ Row.next))
            lasts.append(row)
        }
        var isSeen = [Bool](repeating: false, count: region.queueSize)
        var row = freeHead
        while row < region.queueSize {
            guard !isSeen[Int(row)] else { throw .invalidInflightRegion }
            isSeen[Int(row)] = true
            region.store(0 as UInt8, at: Self.row(row) &+ Row.inflight)
            row = nexts[Int(row)]
        }
        let heads = heads(region, isFree: isSeen)
        for head in heads.rows.reversed() {
            let count = region.load(UInt16.self, at: Self.row(head) &+ Row.count)
            guard count > 0, Int(count) <= size - leftDescriptors.count else {
                throw .invalidInflightRegion
            }
            left.append(
                LeftBuffer(
                    head: head, descriptorCount: count, firstDescriptor: leftDescriptors.count))
            var row = head
            for _ in 0..<count {
                guard row < region.queueSize, !isSeen[Int(row)] else {
                    throw .invalidInflightRegion
                }
                isSeen[Int(row)] = true
                leftDescriptors.append(descriptor(region, row))
                lasts[Int(head)] = row
                row = nexts[Int(row)]
            }
        }
        guard !isSeen.contains(false) else { throw .invalidInflightRegion }
        return heads.counter
    }

    private static func position(index: UInt64, wrap: UInt64) -> PackedPosition {
        var position = PackedPosition(rawValue: 0)
        position.index = UInt16(truncatingIfNeeded: index)
        position.wrap = UInt8(truncatingIfNeeded: wrap) != 0
        return position
    }

    /// The heads of what was under way, the oldest first, and the counter to go on with.
    private static func heads(
        _ region: InflightRegion, isFree: [Bool]
    ) -> (rows: [UInt16], counter: UInt64) {
        var rows: [(row: UInt16, counter: UInt64)] = []
        for row in 0..<UInt16(isFree.count) where !isFree[Int(row)] {
            guard region.load(UInt8.self, at: Self.row(row) &+ Row.inflight) != 0 else { continue }
            rows.append((row, region.load(at: Self.row(row) &+ Row.counter)))
        }
        return (InflightRegion.inOrder(rows), (rows.map(\.counter).max() ?? 0) &+ 1)
    }

    private static func descriptor(_ region: InflightRegion, _ row: UInt16) -> Descriptor {
        let base = Self.row(row)
        let length = region.load(UInt32.self, at: base &+ Row.length)
        let id = region.load(UInt16.self, at: base &+ Row.id)
        let flags = region.load(UInt16.self, at: base &+ Row.flags)
        return Descriptor(
            address: region.load(at: base &+ Row.address),
            word: UInt64(length) | UInt64(id) << 32 | UInt64(flags) << 48)
    }
}
