import SharedMemory

/// Notes a device's writes to the rings in a dirty log.
struct RingLog {
    let log: DirtyLog
    /// Where used entries go: the used ring, or the descriptor ring.
    let ring: GuestAddress
    /// Where the device says when it wants to be kicked: the used ring, or a structure of its own.
    let events: GuestAddress

    func markRing(offset: Int, byteCount: Int) {
        mark(ring, offset, byteCount)
    }

    func markEvents(offset: Int, byteCount: Int) {
        mark(events, offset, byteCount)
    }

    private func mark(_ address: GuestAddress, _ offset: Int, _ byteCount: Int) {
        log.mark(
            GuestRange(
                address: GuestAddress(address.rawValue &+ UInt64(offset)), byteCount: byteCount))
    }
}
