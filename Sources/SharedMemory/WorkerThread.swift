import CLinux
import Glibc
import SystemPackage

/// A thread of the system with a name, for work that may block in the kernel or spin.
///
/// **Threading.** Any thread may call ``join()``, once.
public final class WorkerThread: Sendable {
    private let thread: pthread_t

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - name: shown by `ps -T`; at most 15 bytes of it.
    ///   - body: what it does.
    /// - Throws: `SystemCallError` of `pthread_create`.
    public init(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(SystemCallError) {
        let start = unsafe Unmanaged.passRetained(ThreadStart(name: name, body: body))
        var thread = pthread_t()
        // SAFETY: the new thread takes over the reference; where there is none, it is released
        // below.
        let result = unsafe pthread_create(
            &thread, nil,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue().run()
                }
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            unsafe start.release()
            throw SystemCallError("pthread_create", Errno(rawValue: result))
        }
        self.thread = thread
    }

    /// Ends the system call that the thread waits in now, if any, with `EINTR`: for calls that a
    /// hostile peer may keep from ending, such as ``EventDescriptor/signal()``. Repeat it until the
    /// thread does what it is to do: it may not have waited yet.
    ///
    /// - Precondition: the thread was not joined.
    public func interrupt() {
        _ = clinux_interrupt(thread)
    }

    /// Waits until the thread has ended.
    public func join() {
        pthread_join(thread, nil)
    }
}

private final class ThreadStart: Sendable {
    private let name: String
    private let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }

    func run() {
        // SAFETY: the string lives for the call; the kernel takes what it has room for.
        unsafe clinux_name_thread(name)
        clinux_allow_interrupts()
        body()
    }
}
