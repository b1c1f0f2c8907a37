import Glibc
import Synchronization

/// Where threads wait for each other, as often as they like.
final class StartLine: Sendable {
    private let threadCount: Int
    private let arrivalCount = Atomic(0)

    init(threadCount: Int) {
        self.threadCount = threadCount
    }

    /// Returns when every thread has called it as often as this one.
    func wait() {
        // Both pair with each other: what a thread did before is visible to all after.
        let arrival = arrivalCount.add(1, ordering: .acquiringAndReleasing).newValue
        let complete = (arrival + threadCount - 1) / threadCount * threadCount
        var spinCount = 0
        while arrivalCount.load(ordering: .acquiring) < complete {
            spinCount += 1
            // There may be fewer processors than threads.
            if spinCount % 1024 == 0 { sched_yield() }
        }
    }
}
