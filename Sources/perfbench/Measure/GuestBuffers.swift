import SharedMemory

/// The buffers of a guest, spread over all of its memory as those of a page cache are.
///
/// They are visited in an order that comes by every one of them before it returns to the first, and
/// never goes to a neighbour: a buffer was last touched a whole sweep of guest memory ago, so
/// neither path of a comparison is flattered by a warm cache line.
struct GuestBuffers {
    let byteCount: Int
    let count: Int
    private let start: UInt64
    /// From one buffer's start to the next one's.
    let spacing: Int
    private let step: Int
    private var index = 0

    /// Where guest memory begins, guest-physical.
    static let base = GuestAddress(0)

    /// - Parameters:
    ///   - offset: where in guest memory the buffers begin, whole pages.
    ///   - guestMemoryByteCount: how much of it they are spread over.
    ///   - spacing: from one buffer's start to the next one's; whole pages where nothing is said.
    init(
        offset: Int = 0, guestMemoryByteCount: Int, bufferByteCount: Int, spacing: Int? = nil
    ) {
        byteCount = bufferByteCount
        start = Self.base.rawValue + UInt64(offset)
        self.spacing = spacing ?? Self.spacing(of: bufferByteCount)
        count = guestMemoryByteCount / self.spacing
        // The golden section spreads any number of steps evenly; coprime to the count, it is a
        // cycle.
        var step = max(Int(Double(count) * 0.618_033_988_75), 1)
        while Self.greatestCommonDivisor(step, count) != 1 { step += 1 }
        self.step = step
    }

    /// From one buffer's start to the next one's: whole pages.
    static func spacing(of byteCount: Int) -> Int { (byteCount + 4095) & ~4095 }

    /// Where in guest memory a buffer begins.
    static func offset(of buffer: GuestRange) -> Int {
        Int(buffer.address.rawValue &- base.rawValue)
    }

    /// The buffer with the lowest address.
    var first: GuestRange { GuestRange(address: GuestAddress(start), byteCount: byteCount) }

    /// The next buffer.
    mutating func next() -> GuestRange {
        index &+= step
        if index >= count { index &-= count }
        return GuestRange(
            address: GuestAddress(start &+ UInt64(truncatingIfNeeded: index &* spacing)),
            byteCount: byteCount)
    }

    private static func greatestCommonDivisor(_ left: Int, _ right: Int) -> Int {
        right == 0 ? left : greatestCommonDivisor(right, left % right)
    }
}
