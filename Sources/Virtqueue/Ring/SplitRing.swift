/// Where things are in the two rings of a split queue (virtio 1.2, 2.7.6 and 2.7.8), in bytes.
enum SplitRing {
    static let flags = 0
    static let index = 2

    @inline(__always)
    static func available(_ slot: Int) -> Int { 4 &+ 2 &* slot }

    @inline(__always)
    static func used(_ slot: Int) -> Int { 4 &+ 8 &* slot }

    /// Behind the available ring: when the driver wants to be called (`used_event`).
    @inline(__always)
    static func usedEvent(size: Int) -> Int { 4 &+ 2 &* size }

    /// Behind the used ring: when the device wants to be kicked (`avail_event`).
    @inline(__always)
    static func availableEvent(size: Int) -> Int { 4 &+ 8 &* size }
}
