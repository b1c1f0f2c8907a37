import Synchronization
import Testing

@testable import perfbench

@Suite struct ThreadsTests {
    @Test(arguments: [1, 2, 5])
    func `every thread runs once, with a number of its own`(count: Int) throws {
        let seen = Mutex<[Int]>([])
        try onThreads(count) { index in seen.withLock { $0.append(index) } }
        #expect(seen.withLock { $0.sorted() } == Array(0..<count))
    }

    @Test func `nobody passes a start line before all have come`() throws {
        let threadCount = 4
        let line = StartLine(threadCount: threadCount)
        let arrivals = Atomic(0)
        let tooEarly = Atomic(0)
        try onThreads(threadCount) { _ in
            for round in 1...100 {
                arrivals.add(1, ordering: .sequentiallyConsistent)
                line.wait()
                if arrivals.load(ordering: .sequentiallyConsistent) < round * threadCount {
                    tooEarly.add(1, ordering: .relaxed)
                }
                line.wait()
            }
        }
        #expect(tooEarly.load(ordering: .relaxed) == 0)
    }
}
