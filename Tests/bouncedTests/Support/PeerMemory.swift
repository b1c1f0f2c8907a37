import SharedMemory

/// A guest's memory as tests use it: rings first, then room that is handed out again and again.
protocol PeerMemory: AnyObject {
    /// Where the memory begins for the daemon.
    static var base: GuestAddress { get }
    /// How many bytes the rings have.
    static var roomOffset: Int { get }
    var memory: HostMemory { get }
    /// Where there is room next.
    var next: Int { get set }
}

extension PeerMemory {
    func offset(_ range: GuestRange) -> Int {
        Int(range.address.rawValue - Self.base.rawValue)
    }

    func room(_ byteCount: Int) -> GuestRange {
        next = (next + 15) / 16 * 16
        if next + byteCount > memory.byteCount { next = Self.roomOffset }
        defer { next += byteCount }
        return GuestRange(
            address: GuestAddress(Self.base.rawValue + UInt64(next)), byteCount: byteCount)
    }

    func put(_ bytes: [UInt8]) -> GuestRange {
        let range = room(bytes.count)
        memory.store(bytes.span, at: offset(range))
        return range
    }

    func bytes(_ range: GuestRange) -> [UInt8] {
        memory.bytes(at: offset(range), byteCount: range.byteCount)
    }
}
