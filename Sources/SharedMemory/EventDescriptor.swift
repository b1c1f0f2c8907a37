import CLinux
import Glibc
public import SystemPackage

/// A count in the kernel that one thread or process adds to and another waits for (`eventfd(2)`): how
/// driver and device of a queue wake each other, by a *kick* or a *call*.
///
/// A ring waits for one by `Ring.prepareRead(of:into:tag:)`: ``signal()`` ends the read, also one
/// that is prepared only afterwards.
///
/// **Threading.** Any thread.
public final class EventDescriptor: Sendable {
    /// Owned: closed with the object.
    public let fileDescriptor: FileDescriptor

    /// How many bytes a read of it gives.
    public static let byteCount = 8

    /// Makes one.
    ///
    /// - Throws: `SystemCallError` of `eventfd`.
    public init() throws(SystemCallError) {
        let descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard descriptor >= 0 else {
            throw SystemCallError("eventfd", Errno(rawValue: errno))
        }
        fileDescriptor = FileDescriptor(rawValue: descriptor)
    }

    /// Takes one that a peer has sent.
    ///
    /// - Parameter descriptor: ownership passes to the object, also when this throws.
    /// - Throws: `SystemCallError` with `EINVAL` where it is no eventfd: writing to anything else
    ///   could block, or do harm.
    public init(adopting descriptor: FileDescriptor) throws(SystemCallError) {
        guard clinux_is_eventfd(descriptor.rawValue) == 1 else {
            try? descriptor.close()
            throw SystemCallError("eventfd", .invalidArgument)
        }
        let flags = fcntl(descriptor.rawValue, F_GETFL)
        _ = fcntl(descriptor.rawValue, F_SETFL, flags | O_NONBLOCK)
        fileDescriptor = descriptor
    }

    deinit {
        try? fileDescriptor.close()
    }

    /// Wakes whoever waits. One system call. A counter that is full wakes all the same.
    ///
    /// Of one that a peer has sent, the call can block: the peer has the same open file, and may fill
    /// the counter and take the flag back that keeps writes from blocking. There is no other way to
    /// write it; see to it that another thread can ``WorkerThread/interrupt()`` this one.
    public func signal() {
        _ = eventfd_write(fileDescriptor.rawValue, 1)
    }

    /// The same for a thread that nobody can interrupt: on a thread of its own, which is given up where
    /// a hostile peer keeps it from ending. Dear; not for a data path.
    public func signalApart() {
        do throws(SystemCallError) {
            let done = try EventDescriptor()
            let thread = try WorkerThread(name: "signal") { [self] in
                signal()
                done.signal()
            }
            while !done.wait(timeoutMilliseconds: 100) { thread.interrupt() }
            thread.join()
        } catch {
            // Nobody can be told where not even a thread is to be had.
        }
    }

    /// Takes back what was signalled; whether it was. One system call.
    @discardableResult
    public func clear() -> Bool {
        var count: eventfd_t = 0
        // SAFETY: `count` is a local.
        return unsafe eventfd_read(fileDescriptor.rawValue, &count) == 0
    }

    /// Waits until it is signalled, and takes that back.
    ///
    /// - Parameter timeoutMilliseconds: how long at most; negative for ever.
    /// - Returns: whether it was. False, too, where a signal handler ran.
    public func wait(timeoutMilliseconds: Int32 = -1) -> Bool {
        var entry = pollfd(fd: fileDescriptor.rawValue, events: Int16(POLLIN), revents: 0)
        // SAFETY: `entry` is a local.
        guard unsafe poll(&entry, 1, timeoutMilliseconds) == 1 else { return false }
        return clear()
    }
}
