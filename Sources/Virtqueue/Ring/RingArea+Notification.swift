import Synchronization

// Whether the other side, which writes the area, wants to be told of what was shown to it. Called after
// that was stored.
extension RingArea {
    /// Of entries of a split ring: `count` more of them, up to `index`.
    ///
    /// - Parameter eventOffset: where the index is that it waits for; `nil` where it has but a flag.
    @inline(__always)
    func wantsNotification(upTo index: UInt16, count: Int, eventOffset: Int?) -> Bool {
        // Pairs with the other side's barrier between its event and its look at the index.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard let eventOffset else {
            return load(UInt16.self, at: SplitRing.flags) & splitNoNotification == 0
        }
        return hasPassed(
            event: load(UInt16.self, at: eventOffset), new: index,
            old: index &- UInt16(truncatingIfNeeded: count))
    }

    /// Of descriptors of a packed ring: `count` more of them, up to `position`.
    @inline(__always)
    func wantsNotification(
        upTo position: PackedPosition, count: Int, size: Int, usesEventIndex: Bool
    ) -> Bool {
        // Pairs with the other side's barrier between its event and its look at the descriptor.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let word = load(UInt32.self, at: 0)
        let flags = word >> 16 & 3
        guard flags == PackedEventFlags.descriptor, usesEventIndex else {
            return flags != PackedEventFlags.disable
        }
        return position.hasPassed(eventStructure: word, count: count, size: size)
    }
}
