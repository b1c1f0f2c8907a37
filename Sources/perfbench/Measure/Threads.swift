import Glibc
import Synchronization

/// Runs `body` at once on this thread and on `count - 1` others, and waits for all.
///
/// - Parameter body: called with 0 to `count - 1`, 0 on the calling thread.
/// - Throws: `BenchFailure` where the system gives no thread; `body` then ran on none.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws(BenchFailure) {
    let signal = StartSignal()
    var threads: [pthread_t] = []
    var isComplete = true
    for index in 1..<max(count, 1) where isComplete {
        if let thread = startThread({ if signal.isGo() { body(index) } }) {
            threads.append(thread)
        } else {
            isComplete = false
        }
    }
    signal.give(isComplete)
    if isComplete { body(0) }
    for thread in threads { pthread_join(thread, nil) }
    guard isComplete else {
        throw BenchFailure(.unavailable, "the system has no room for \(count) threads")
    }
}

/// Holds threads back until all of them exist.
private final class StartSignal: Sendable {
    private let state = Atomic(0)

    func give(_ isGo: Bool) {
        // Pairs with `isGo`: threads see what was prepared for them.
        state.store(isGo ? 1 : 2, ordering: .releasing)
    }

    /// Waits for the signal.
    func isGo() -> Bool {
        while true {
            let current = state.load(ordering: .acquiring)
            if current != 0 { return current == 1 }
            sched_yield()
        }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}

private func startThread(_ run: @escaping @Sendable () -> Void) -> pthread_t? {
    let body = unsafe Unmanaged.passRetained(ThreadBody(run))
    var thread = pthread_t()
    // SAFETY: the new thread takes over the reference to the body; where there is none, it is
    // released below.
    let result = unsafe pthread_create(
        &thread, nil,
        { argument in
            if let argument = unsafe argument {
                unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
            }
            return nil
        }, body.toOpaque())
    guard result == 0 else {
        unsafe body.release()
        return nil
    }
    return thread
}
