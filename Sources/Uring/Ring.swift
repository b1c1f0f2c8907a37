import CUring
import Glibc
public import SharedMemory
import SystemPackage

/// A submission and a completion queue shared with the kernel (`io_uring(7)`).
///
/// Operations are prepared (`Ring+Prepare.swift`), handed to the kernel together and waited for in
/// one system call (``submitAndWait(minimumCompletionCount:)``), and taken back one by one with the
/// tag they were given (``nextCompletion()``).
///
/// **Threading.** A ring belongs to the thread that made it: the kernel refuses others (`EEXIST`)
/// where it granted ``RingFlags/singleIssuer``.
///
/// **Lifetime.** The memory of an operation must live until its completion was taken. Destroying a
/// ring waits for the operations under way, so a holder that keeps the memory at least as long as
/// the ring is safe; one that cannot say which goes first calls ``drain()`` before. A read that
/// nothing may ever end (``prepareRead(of:into:tag:)``) is to be cancelled first.
@safe public struct Ring: ~Copyable {
    /// liburing's state, at an address that does not move.
    let ring: UnsafeMutablePointer<io_uring>

    /// How many operations can be prepared between two submissions.
    public let entryCount: Int
    /// The set-up flags that the kernel granted.
    public let flags: RingFlags
    /// How many buffers ``registerBuffers(_:)`` has registered.
    public internal(set) var registeredBufferCount = 0

    /// Sets up a ring, with the best flags of ``RingFlags`` that this kernel takes.
    ///
    /// - Parameter entryCount: 1 to 32768, rounded up to a power of two.
    /// - Throws: `SystemCallError` of `io_uring_setup`: `EPERM` where the system forbids io_uring
    ///   (`kernel.io_uring_disabled`, seccomp), `ENOSYS` where the kernel has none, `ENOMEM`.
    public init(entryCount: Int) throws(SystemCallError) {
        precondition(entryCount > 0 && entryCount <= 32768, "a ring has 1 to 32768 entries")
        // SAFETY: allocated and initialised here, given back in deinit or below.
        let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        unsafe ring.initialize(to: io_uring())
        var result: Int32 = -EINVAL
        var granted = RingFlags()
        for attempt in RingFlags.attempts {
            granted = attempt
            // SAFETY: `ring` is initialised memory that liburing fills.
            result = unsafe io_uring_queue_init(UInt32(entryCount), ring, attempt.rawValue)
            // An unknown flag is EINVAL, and so is a combination that this kernel does not take.
            if result != -EINVAL { break }
        }
        guard result == 0 else {
            unsafe ring.deallocate()
            throw SystemCallError("io_uring_setup", Errno(rawValue: -result))
        }
        // Saves a look-up of the descriptor in each system call; a kernel before 5.18 refuses,
        // which changes nothing else.
        _ = unsafe io_uring_register_ring_fd(ring)
        unsafe self.ring = ring
        unsafe self.entryCount = Int(ring.pointee.sq.ring_entries)
        flags = granted
    }

    deinit {
        drain()
        // SAFETY: set up in init, and nothing else holds the pointer.
        unsafe io_uring_queue_exit(ring)
        unsafe ring.deallocate()
    }

    /// Hands what was prepared to the kernel and waits for completions, in one system call.
    ///
    /// - Parameter minimumCompletionCount: how many completions to wait for, among them those that
    ///   were not taken yet; 0 to submit and collect what there is without waiting.
    /// - Throws: `SystemCallError` of `io_uring_enter`. An interruption by a signal (`EINTR`) and a
    ///   kernel short of memory or of completion entries (`EAGAIN`, `EBUSY`) are no errors: the
    ///   call returns, possibly early, and what was not submitted stays prepared for the next call.
    public mutating func submitAndWait(
        minimumCompletionCount: Int
    ) throws(SystemCallError) {
        // SAFETY: the ring was set up in init and lives as long as self.
        let result =
            if minimumCompletionCount > 0 {
                unsafe io_uring_submit_and_wait(ring, UInt32(minimumCompletionCount))
            } else {
                unsafe io_uring_submit_and_get_events(ring)
            }
        try check(result)
    }

    /// The same, for a time at most (Linux 5.11; before, the kernel is told of the time by an operation of
    /// its own).
    ///
    /// - Parameter timeoutNanoseconds: how long to wait; that it is over is no error.
    public mutating func submitAndWait(
        minimumCompletionCount: Int, timeoutNanoseconds: Int64
    ) throws(SystemCallError) {
        var time = __kernel_timespec(
            tv_sec: timeoutNanoseconds / 1_000_000_000, tv_nsec: timeoutNanoseconds % 1_000_000_000)
        // SAFETY: as above; both are locals, and the one is not looked through.
        var first: UnsafeMutablePointer<liburing_cqe>?
        let result = unsafe io_uring_submit_and_wait_timeout(
            ring, &first, UInt32(minimumCompletionCount), &time, nil)
        if result != -ETIME { try check(result) }
    }

    /// Hands what was prepared to the kernel, without waiting and without collecting completions.
    ///
    /// - Throws: as ``submitAndWait(minimumCompletionCount:)``.
    public mutating func submit() throws(SystemCallError) {
        // SAFETY: as above.
        try check(unsafe io_uring_submit(ring))
    }

    private func check(_ result: Int32) throws(SystemCallError) {
        if result < 0, result != -EINTR, result != -EAGAIN, result != -EBUSY {
            throw SystemCallError("io_uring_enter", Errno(rawValue: -result))
        }
    }

    /// How many operations were prepared and have not been handed to the kernel yet.
    public var preparedCount: Int {
        // SAFETY: the counters belong to this thread.
        unsafe Int(io_uring_sq_ready(ring))
    }

    /// How many operations were prepared and have not been taken back yet.
    public var outstandingCount: Int {
        // SAFETY: both counters belong to this thread. Each entry taken from the one queue brings
        // exactly one into the other; both count all there ever were, modulo 2^32.
        unsafe Int(ring.pointee.sq.sqe_tail &- ring.pointee.cq.khead.pointee)
    }

    /// Waits until nothing is under way any more, throwing completions away.
    ///
    /// Gives up where the kernel does not let this thread wait (``RingFlags/singleIssuer``):
    /// destroy a ring on its own thread.
    public func drain() {
        while outstandingCount > 0 {
            // SAFETY: as in `submitAndWait` and `nextCompletion`.
            let result = unsafe io_uring_submit_and_wait(ring, 1)
            if result < 0, result != -EINTR, result != -EAGAIN, result != -EBUSY { return }
            unsafe io_uring_cq_advance(ring, io_uring_cq_ready(ring))
        }
    }

    /// Whether the kernel knows an operation, by its code (`IORING_OP_*`).
    ///
    /// One system call; ask at set-up, not on the data path.
    public func supports(operation: UInt8) -> Bool {
        // SAFETY: liburing allocates the probe, or returns nil; it is freed here.
        guard let probe = unsafe io_uring_get_probe_ring(ring) else { return false }
        defer { unsafe io_uring_free_probe(probe) }
        return unsafe io_uring_opcode_supported(probe, Int32(operation)) != 0
    }

    /// Whether ``prepareVectored(_:_:file:fileOffset:buffer:tag:)`` takes a registered buffer:
    /// `IORING_OP_READV_FIXED`, Linux 6.15.
    public var supportsVectoredFixedBuffers: Bool {
        supports(operation: UInt8(curing_op_readv_fixed))
            && supports(operation: UInt8(curing_op_writev_fixed))
    }
}
