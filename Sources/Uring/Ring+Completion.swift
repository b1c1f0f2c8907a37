import CUring

/// The end of one operation.
public struct RingCompletion: Sendable {
    /// The tag that the operation was prepared with.
    public let tag: UInt64
    /// What the system call would have returned: a count of bytes, 0, or a negated `errno`.
    public let result: Int32
}

extension Ring {
    /// Takes one completion that has arrived, or `nil`: then wait in
    /// ``submitAndWait(minimumCompletionCount:)``. No system call.
    public mutating func nextCompletion() -> RingCompletion? {
        // SAFETY: the completion queue belongs to this thread; liburing loads the kernel's tail
        // with acquire, and an entry before the tail is not written again until the head has passed
        // it.
        guard unsafe io_uring_cq_ready(ring) > 0 else { return nil }
        let queue = unsafe ring.pointee.cq
        let head = unsafe queue.khead.pointee
        let entry = unsafe queue.cqes[Int(head & queue.ring_mask)]
        unsafe io_uring_cq_advance(ring, 1)
        return RingCompletion(tag: entry.user_data, result: entry.res)
    }

    /// Whether ``nextCompletion()`` has one. No system call.
    public var hasCompletion: Bool {
        // SAFETY: as above.
        unsafe io_uring_cq_ready(ring) > 0
    }
}
