import BasicContainers
import SharedMemory
import Synchronization

extension DriverQueue {
    @inline(__always)
    mutating func addSplit(
        _ parts: Span<GuestRange>, _ readableCount: Int, _ head: UInt16, isIndirect: Bool
    ) {
        if isIndirect {
            let table = storeTable(parts, readableCount, head)
            free = buffers[Int(head)].next
            buffers[Int(head)].last = head
            store(Descriptor(table, flags: Descriptor.indirect, next: 0), at: Int(head))
        } else {
            var index = head
            for part in 0..<parts.count {
                let isLast = part &+ 1 == parts.count
                let next = buffers[Int(index)].next
                let flags =
                    (isLast ? 0 : Descriptor.next)
                    | (part < readableCount ? 0 : Descriptor.write)
                store(
                    Descriptor(parts[part], flags: flags, next: isLast ? 0 : next), at: Int(index))
                if isLast {
                    buffers[Int(head)].last = index
                    free = next
                }
                index = next
            }
        }
        show(head)
    }

    /// Puts a chain into the available ring.
    @inline(__always)
    mutating func show(_ head: UInt16) {
        driver.store(head, at: SplitRing.available(Int(available) & (size &- 1)))
        available &+= 1
        unpublished &+= 1
    }

    @inline(__always)
    func store(_ descriptor: Descriptor, at index: Int) {
        descriptors.store(descriptor.address, at: Descriptor.byteCount &* index)
        descriptors.store(descriptor.word, at: Descriptor.byteCount &* index &+ 8)
    }

    /// Fills a buffer's indirect table.
    ///
    /// - Returns: where the device finds it.
    mutating func storeTable(
        _ parts: Span<GuestRange>, _ readableCount: Int, _ id: UInt16
    ) -> GuestRange {
        let offset = Int(id) &* tableLength &* Descriptor.byteCount
        for part in 0..<parts.count {
            let isLast = part &+ 1 == parts.count
            let write = part < readableCount ? 0 : Descriptor.write
            let descriptor =
                isPacked
                ? Descriptor(parts[part], id: 0, flags: write)
                : Descriptor(
                    parts[part], flags: write | (isLast ? 0 : Descriptor.next),
                    next: isLast ? 0 : UInt16(truncatingIfNeeded: part &+ 1))
            tables?.store(descriptor.address, at: offset &+ Descriptor.byteCount &* part)
            tables?.store(descriptor.word, at: offset &+ Descriptor.byteCount &* part &+ 8)
        }
        return GuestRange(
            address: GuestAddress(tableAddress.rawValue &+ UInt64(offset)),
            byteCount: parts.count &* Descriptor.byteCount)
    }

    @inline(__always)
    mutating func nextSplitEntry() throws(QueueFault) -> UsedEntry? {
        if seen == used {
            // Pairs with the device's release of the index: used entries, and what was written into
            // the buffers, are there.
            let index = device.loadAcquiring(UInt16.self, at: SplitRing.index)
            guard index != used else { return nil }
            guard Int(index &- used) <= shownCount else {
                throw .usedIndexOutOfRange(used: index, next: used)
            }
            seen = index
        }
        let offset = SplitRing.used(Int(used) & (size &- 1))
        return UsedEntry(
            id: Int(device.load(UInt32.self, at: offset)),
            byteCount: Int(device.load(UInt32.self, at: offset &+ 4)))
    }
}
