import SharedMemory
import Synchronization

extension DeviceQueue {
    /// Asks the driver not to kick: the device looks by itself.
    public mutating func disableKicks() {
        if isPacked {
            device.store(PackedEventFlags.disable << 16, at: 0)
            log?.markEvents(offset: 0, byteCount: 4)
        } else if !usesEventIndex {
            device.store(splitNoNotification, at: SplitRing.flags)
            log?.markEvents(offset: SplitRing.flags, byteCount: 2)
        }
        // With event indices the one stored last lies behind, and no kick comes for it.
    }

    /// Asks the driver to kick for the next buffer, and looks once more.
    ///
    /// - Returns: whether there is a buffer already, for which no kick may come.
    public mutating func enableKicks() -> Bool {
        if isPacked {
            device.store(
                usesEventIndex
                    ? PackedEventFlags.descriptor << 16 | UInt32(packedAvailable.rawValue)
                    : PackedEventFlags.enable << 16, at: 0)
            log?.markEvents(offset: 0, byteCount: 4)
        } else if usesEventIndex {
            device.store(available, at: SplitRing.availableEvent(size: size))
            log?.markEvents(offset: SplitRing.availableEvent(size: size), byteCount: 2)
        } else {
            device.store(0 as UInt16, at: SplitRing.flags)
            log?.markEvents(offset: SplitRing.flags, byteCount: 2)
        }
        // Pairs with the driver's barrier between its index and its look at the event: one of the
        // two sides sees what the other has stored.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        return hasNext
    }

    /// Whether there is a buffer to take. One load; a buffer that comes meanwhile may be missed.
    public var hasNext: Bool {
        if leftCount > 0 { return true }
        if !isPacked { return driver.load(UInt16.self, at: SplitRing.index) != available }
        let word = descriptors.load(
            UInt64.self, at: Descriptor.byteCount &* Int(packedAvailable.index) &+ 8)
        return isAvailable(Descriptor(address: 0, word: word))
    }
}
