import Glibc
import SharedMemory
import Synchronization
import TestSupport
import Testing

@Suite struct AsymmetricBarrierTests {
    /// Store buffering: each of two threads stores its word, then looks at the other's. With a
    /// barrier in between on both sides, they never both miss.
    ///
    /// Without the light side's barrier this cannot fail on x86-64 but by the compiler; without the
    /// heavy side's it does, within some thousand rounds, where the threads run on two cores.
    @Test(arguments: [true, false])
    func oneOfTwoThreadsSeesTheOther(asymmetric: Bool) {
        let words = Words()
        let isAvailable = AsymmetricBarrier.isAvailable && asymmetric
        let roundCount = 5000
        onThreads(2) { thread in
            for round in 1...roundCount {
                // Both begin the round at about the same time.
                words.begun.wrappingAdd(1, ordering: .sequentiallyConsistent)
                var spins = 0
                while words.begun.load(ordering: .sequentiallyConsistent) < 2 * round {
                    spins += 1
                    if spins % 1000 == 0 { sched_yield() }
                }
                if thread == 0 {
                    words.first.store(round, ordering: .relaxed)
                    AsymmetricBarrier.light(isAvailable: isAvailable)
                    words.seen[0].store(words.second.load(ordering: .relaxed), ordering: .relaxed)
                } else {
                    words.second.store(round, ordering: .relaxed)
                    if isAvailable {
                        AsymmetricBarrier.heavy()
                    } else {
                        // What `heavy` does where the kernel has no `membarrier(2)`.
                        AsymmetricBarrier.light(isAvailable: false)
                    }
                    words.seen[1].store(words.first.load(ordering: .relaxed), ordering: .relaxed)
                }
                words.ended.wrappingAdd(1, ordering: .sequentiallyConsistent)
                while words.ended.load(ordering: .sequentiallyConsistent) < 2 * round {
                    spins += 1
                    if spins % 1000 == 0 { sched_yield() }
                }
                if thread == 0, words.seen[0].load(ordering: .relaxed) < round,
                    words.seen[1].load(ordering: .relaxed) < round
                {
                    words.missCount.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        #expect(words.missCount.load(ordering: .relaxed) == 0)
    }
}

/// Words far enough from each other not to share a cache line.
private final class Words: Sendable {
    let first = Atomic(0)
    private let pad0 = InlineArray<16, UInt64>(repeating: 0)
    let second = Atomic(0)
    private let pad1 = InlineArray<16, UInt64>(repeating: 0)
    let begun = Atomic(0)
    private let pad2 = InlineArray<16, UInt64>(repeating: 0)
    let ended = Atomic(0)
    let missCount = Atomic(0)
    let seen = InlineArray<2, Atomic<Int>> { _ in Atomic(0) }
}
