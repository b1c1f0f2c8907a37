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

    /// Whether a ``submitAndWait(minimumCompletionCount:)`` that does not wait may bring completions.
    /// No system call; true where the kernel does not tell.
    public var mayHaveCompletion: Bool {
        guard flags.contains(.taskrunFlag) else { return true }
        // SAFETY: as above. The kernel sets the flag once the work is there, in any order with what
        // else it writes: it says when to look, not what is seen.
        let kernelFlags = unsafe curing_load_relaxed(ring.pointee.sq.kflags)
        return kernelFlags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW) != 0 || hasCompletion
    }
}
