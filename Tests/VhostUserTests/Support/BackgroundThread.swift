import SharedMemory
import Synchronization

/// A thread whose result can be waited for. Blocking calls do not belong on the thread pool that
/// runs the tests.
final class BackgroundThread<Result: Sendable>: Sendable {
    private let thread: WorkerThread
    private let outcome: Outcome<Result>

    init(_ body: @escaping @Sendable () -> Result) {
        do throws(SystemCallError) {
            let outcome = Outcome<Result>(isThere: try EventDescriptor())
            self.outcome = outcome
            thread = try WorkerThread(name: "background") {
                let result = body()
                outcome.result.withLock { $0 = result }
                outcome.isThere.signal()
            }
        } catch {
            preconditionFailure("a thread starts: \(error)")
        }
    }

    /// Waits for the end. Call it once.
    ///
    /// - Precondition: it comes within a minute: better a crash that says where than a hang.
    func join() -> Result {
        precondition(isFinished(withinMilliseconds: 60_000), "the thread comes to its end")
        thread.join()
        return outcome.result.withLock { $0 }!
    }

    /// Waits for the end, but not for ever: a test that fails should say so.
    ///
    /// - Returns: whether it has come.
    func isFinished(withinMilliseconds limit: Int32) -> Bool {
        if outcome.result.withLock({ $0 != nil }) { return true }
        return outcome.isThere.wait(timeoutMilliseconds: limit)
    }
}

private final class Outcome<Result: Sendable>: Sendable {
    let isThere: EventDescriptor
    let result = Mutex<Result?>(nil)

    init(isThere: EventDescriptor) {
        self.isThere = isThere
    }
}
