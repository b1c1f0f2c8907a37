public import SharedMemory

extension DeviceQueue {
    /// Where a buffer begins that is to be taken soon, as far as the ring says now: a hint, to have its bytes
    /// on their way before they are needed.
    ///
    /// Nothing is checked, and the words are loaded again when the buffer is taken: what is there then counts.
    ///
    /// - Parameter distance: how many buffers lie before it, less than the queue has.
    /// - Returns: `nil` where a split queue's driver has not made as many available, as far as is known; of a
    ///   packed queue, what a buffer in that place has, or had in the lap before.
    public mutating func peek(_ distance: Int) -> GuestAddress? {
        if isPacked {
            let index = (Int(packedAvailable.index) &+ distance) & (size &- 1)
            return GuestAddress(descriptors.load(at: Descriptor.byteCount &* index))
        }
        guard Int(seen &- available) > distance else { return nil }
        let slot = (Int(available) &+ distance) & (size &- 1)
        let head = Int(driver.load(UInt16.self, at: SplitRing.available(slot)))
        guard head < size else { return nil }
        return GuestAddress(descriptors.load(at: Descriptor.byteCount &* head))
    }
}
