import Glibc
import Synchronization

/// A thread whose result can be waited for. Blocking calls do not belong on the thread pool that
/// runs the tests.
final class BackgroundThread<Result: Sendable>: Sendable {
    private let thread: pthread_t
    private let outcome: Outcome<Result>

    init(_ body: @escaping @Sendable () -> Result) {
        let outcome = Outcome<Result>()
        let start = ThreadStart {
            let result = body()
            outcome.result.withLock { $0 = result }
        }
        let argument = unsafe Unmanaged.passRetained(start).toOpaque()
        var thread = pthread_t()
        // SAFETY: the new thread takes over the reference.
        let error = unsafe pthread_create(
            &thread, nil,
            { argument in
                unsafe Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, argument)
        precondition(error == 0, "a thread starts")
        self.thread = thread
        self.outcome = outcome
    }

    /// Waits for the end. Call it once.
    ///
    /// - Precondition: it comes within a minute: better a crash that says where than a hang.
    func join() -> Result {
        precondition(isFinished(withinMilliseconds: 60_000), "the thread comes to its end")
        pthread_join(thread, nil)
        return outcome.result.withLock { $0 }!
    }

    /// Waits for the end, but not for ever: a test that fails should say so.
    ///
    /// - Returns: whether it has come.
    func isFinished(withinMilliseconds limit: Int) -> Bool {
        for _ in 0..<limit {
            if outcome.result.withLock({ $0 != nil }) { return true }
            usleep(1000)
        }
        return false
    }
}

private final class Outcome<Result: Sendable>: Sendable {
    let result = Mutex<Result?>(nil)
}

private final class ThreadStart: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }
}
