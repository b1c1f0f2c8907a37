import BasicContainers
import SharedMemory
import Synchronization

extension DriverQueue {
    @inline(__always)
    mutating func addPacked(
        _ parts: Span<GuestRange>, _ readableCount: Int, _ id: UInt16, isIndirect: Bool
    ) {
        free = buffers[Int(id)].next
        if isIndirect {
            let table = storeTable(parts, readableCount, id)
            storePacked(table, id, flags: Descriptor.indirect)
            return
        }
        for part in 0..<parts.count {
            storePacked(
                parts[part], id,
                flags: (part < readableCount ? 0 : Descriptor.write)
                    | (part &+ 1 < parts.count ? Descriptor.next : 0))
        }
    }

    /// Stores the next descriptor of the ring; the first since the last publication is held back.
    @inline(__always)
    mutating func storePacked(_ range: GuestRange, _ id: UInt16, flags: UInt16) {
        let offset = Descriptor.byteCount &* Int(packedAvailable.index)
        let descriptor = Descriptor(
            range, id: id, flags: flags | packedAvailable.availableFlags)
        descriptors.store(descriptor.address, at: offset)
        if held == nil {
            // The device looks here first, so it sees all of a batch at once, or nothing.
            held = (offset &+ 8, descriptor.word)
        } else {
            descriptors.store(descriptor.word, at: offset &+ 8)
        }
        packedAvailable.advance(by: 1, size: size)
        unpublished &+= 1
    }

    /// Whether a descriptor at the next place was used in this lap.
    @inline(__always)
    func isUsed(_ descriptor: Descriptor) -> Bool {
        descriptor.packedFlags & (Descriptor.available | Descriptor.used) == packedUsed.usedFlags
    }

    @inline(__always)
    mutating func nextPackedEntry() throws(QueueFault) -> UsedEntry? {
        guard shownCount > 0 else { return nil }
        // Pairs with the device's release of the flags: what was written into the buffers is there.
        let word = descriptors.loadAcquiring(
            UInt64.self, at: Descriptor.byteCount &* Int(packedUsed.index) &+ 8)
        let descriptor = Descriptor(address: 0, word: word)
        guard isUsed(descriptor) else { return nil }
        // Without the flag the length means nothing.
        let isWritten = descriptor.packedFlags & Descriptor.write != 0
        return UsedEntry(
            id: Int(descriptor.packedID), byteCount: isWritten ? descriptor.byteCount : 0)
    }
}
