import SharedMemory
import Synchronization

extension DriverQueue {
    /// Asks the device not to call: the driver looks by itself.
    public mutating func disableCalls() {
        if isPacked {
            driver.store(PackedEventFlags.disable << 16, at: 0)
        } else if !usesEventIndex {
            driver.store(splitNoNotification, at: SplitRing.flags)
        }
        // With event indices the one stored last lies behind, and no call comes for it.
    }

    /// Asks the device to call for the next buffer it uses, and looks once more.
    ///
    /// - Returns: whether there is a used buffer already, for which no call may come.
    public mutating func enableCalls() -> Bool {
        if isPacked {
            driver.store(
                usesEventIndex
                    ? PackedEventFlags.descriptor << 16 | UInt32(packedUsed.rawValue)
                    : PackedEventFlags.enable << 16, at: 0)
        } else if usesEventIndex {
            driver.store(used, at: SplitRing.usedEvent(size: size))
        } else {
            driver.store(0 as UInt16, at: SplitRing.flags)
        }
        // Pairs with the device's barrier between its index and its look at the event.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        return hasUsed
    }

    /// Whether there is a used buffer. One load; one that comes meanwhile may be missed.
    public var hasUsed: Bool {
        if batchEnd != nil { return true }
        if !isPacked { return device.load(UInt16.self, at: SplitRing.index) != used }
        let word = descriptors.load(
            UInt64.self, at: Descriptor.byteCount &* Int(packedUsed.index) &+ 8)
        return shownCount > 0 && isUsed(Descriptor(address: 0, word: word))
    }
}
