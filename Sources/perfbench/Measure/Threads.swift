import CommandSupport
import Glibc
import SharedMemory
import Synchronization

/// Runs `body` at once on this thread and on `count - 1` others, and waits for all.
///
/// - Parameter body: called with 0 to `count - 1`, 0 on the calling thread.
/// - Throws: `CommandFailure` where the system gives no thread; `body` then ran on none.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws(CommandFailure) {
    let signal = StartSignal()
    var threads: [WorkerThread] = []
    var refusal: SystemCallError?
    for index in 1..<max(count, 1) where refusal == nil {
        do throws(SystemCallError) {
            threads.append(
                try WorkerThread(name: "perfbench-\(index)") {
                    if signal.isGo() { body(index) }
                })
        } catch {
            refusal = error
        }
    }
    signal.give(refusal == nil)
    if refusal == nil { body(0) }
    for thread in threads { thread.join() }
    if let refusal {
        throw CommandFailure(
            .unavailable,
            "the system has no room for \(count) threads (\(refusal)); use fewer --threads")
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
