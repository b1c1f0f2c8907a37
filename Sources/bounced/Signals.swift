import Glibc
import SharedMemory

/// What other processes tell this one by signals.
struct Signals {
    /// Signalled, and never cleared, when it is time to stop: SIGTERM or SIGINT.
    let stop: EventDescriptor
    /// Two, so that a report that takes long keeps nobody from stopping.
    private let threads: [WorkerThread]

    /// Takes the signals over. To be made before any other thread is.
    ///
    /// - Parameter onReport: called for each SIGUSR1, on a thread that does nothing else.
    init(onReport: @escaping @Sendable () -> Void) throws(SystemCallError) {
        let stop = try EventDescriptor()
        let set = Self.set([SIGTERM, SIGINT, SIGUSR1])
        // SAFETY: the sets are locals. Threads inherit the mask, so this one alone takes signals.
        var taken = set
        unsafe pthread_sigmask(SIG_BLOCK, &taken, nil)
        // A frontend that is gone is seen by what a write returns.
        signal(SIGPIPE, SIG_IGN)
        self.stop = stop
        let stopping = try WorkerThread(name: "signals") {
            _ = Self.next(of: [SIGTERM, SIGINT])
            stop.signal()
            // Whoever asks once more does not want to wait for what is under way: let through, the
            // signal does what it does to any process.
            var fatal = Self.set([SIGTERM, SIGINT])
            // SAFETY: the set is a local.
            unsafe pthread_sigmask(SIG_UNBLOCK, &fatal, nil)
            while true { pause() }
        }
        let reporting = try WorkerThread(name: "reports") {
            while Self.next(of: [SIGUSR1]) != nil { onReport() }
        }
        threads = [stopping, reporting]
    }

    /// Waits for one of some signals, which are blocked.
    ///
    /// - Returns: `nil` where that is not possible, so that nobody waits in circles.
    private static func next(of signals: [Int32]) -> Int32? {
        var awaited = set(signals)
        var number: Int32 = 0
        // SAFETY: both are locals.
        return unsafe sigwait(&awaited, &number) == 0 ? number : nil
    }

    private static func set(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        // SAFETY: the set is a local.
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }
}
