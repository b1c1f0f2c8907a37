import SharedMemory

/// What a bounce is measured by: its copies alone, by plain `memcpy`, between the same spread of
/// guest buffers and as many slots in turn as would be in use. The bounce's own copy can beat it.
struct CopyFloor {
    let guest: HostMemory
    let window: HostMemory

    /// Which way the bytes go.
    enum Direction {
        case intoWindow
        case outOfWindow
        /// Every other copy the other way.
        case alternating
    }

    /// CPU nanoseconds per buffer.
    func measure(
        _ direction: Direction, buffers: inout GuestBuffers, slotsInUse: Int, seconds: Double
    ) -> Double {
        let spacing = buffers.spacing
        let slotCount = max(min(slotsInUse, window.byteCount / spacing), 1)
        var slot = 0
        var goesIn = direction == .intoWindow
        return cpuNanosecondsPerOperation(seconds: seconds) { count in
            for _ in 0..<count {
                let buffer = buffers.next()
                let guestOffset = GuestBuffers.offset(of: buffer)
                slot = slot + 1 == slotCount ? 0 : slot + 1
                if direction == .alternating { goesIn.toggle() }
                if goesIn {
                    window.copy(
                        at: slot * spacing, from: guest, at: guestOffset,
                        byteCount: buffer.byteCount)
                } else {
                    guest.copy(
                        at: guestOffset, from: window, at: slot * spacing,
                        byteCount: buffer.byteCount)
                }
            }
        }
    }
}
