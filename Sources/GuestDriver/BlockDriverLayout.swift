public import SharedMemory
public import Virtqueue

/// How a ``BlockDriver`` divides its coherent memory: the queue, then for each request a cache line
/// with header, range and status.
public struct BlockDriverLayout: Sendable {
    public let queue: QueueLayout
    /// How many requests there can be at once.
    public let requestCountMax: Int

    private static let rowByteCount = 64
    private static let statusOffset = 32

    /// - Parameters:
    ///   - queueSize: descriptors of the queue, a power of two.
    ///   - usesTables: whether each request has an indirect table, which makes it take one descriptor
    ///     of the queue; without one it takes three.
    ///   - requestCountMax: how many requests there can be at once.
    public init(queueSize: Int, isPacked: Bool, usesTables: Bool, requestCountMax: Int) {
        precondition(requestCountMax > 0, "a driver has room for a request")
        queue = QueueLayout(
            size: queueSize, isPacked: isPacked, tableLength: usesTables ? min(8, queueSize) : 0)
        self.requestCountMax = requestCountMax
    }

    /// How much memory the driver needs.
    public var byteCount: Int { queue.byteCount + requestCountMax * Self.rowByteCount }

    @usableFromInline
    func headerOffset(_ row: Int) -> Int { queue.byteCount + row * Self.rowByteCount }
    @usableFromInline
    func statusOffset(_ row: Int) -> Int { headerOffset(row) + Self.statusOffset }

    /// Where the device finds a request's status.
    @usableFromInline
    func status(_ row: Int, at base: GuestAddress) -> GuestRange {
        GuestRange(
            address: GuestAddress(base.rawValue + UInt64(statusOffset(row))), byteCount: 1)
    }
}
