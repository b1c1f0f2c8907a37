import Logging
import SharedMemory
import Synchronization
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct NetPairWorkerTests {
    private static func makeWorker() throws -> NetPairWorker {
        try NetPairWorker(
            index: 0, entryCount: 1, state: NetState(NetConfiguration()), pollMicroseconds: 0,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { _ in FailingPort() }
    }

    @Test("Where the system refuses to go on, queues can be stopped and not started")
    func standStill() throws {
        let device = NetDevice(.drop)
        let bench = try NetDeviceBench(device)
        let worker = try Self.makeWorker()
        let fault = try EventDescriptor()
        var setup = bench.setup(1)
        setup.onFault = { _ in fault.signal() }
        #expect(worker.ask(.start(.transmit, setup)).isDone)
        bench.kicks[1].signal()
        #expect(fault.comes())
        for _ in 0..<20 {
            let answer = worker.ask(.start(.receive, bench.setup(0)))
            #expect(answer.refusal == .unavailable)
        }
        guard case .stopped(.some) = worker.ask(.stop(.transmit)) else {
            Issue.record("the queue that failed counts as running until it is stopped")
            return
        }
        #expect(worker.end().faultCount == 1)
    }

    @Test("A thread that has ended is not asked any more, and what it has done is known")
    func ended() throws {
        let bench = try NetDeviceBench(NetDevice(.drop))
        let worker = try Self.makeWorker()
        let fault = try EventDescriptor()
        var setup = bench.setup(1)
        setup.onFault = { _ in fault.signal() }
        #expect(worker.ask(.start(.transmit, setup)).isDone)
        bench.kicks[1].signal()
        #expect(fault.comes())
        _ = worker.ask(.stop(.transmit))
        let statistics = worker.end()
        #expect(worker.statistics == statistics)
        #expect(worker.ask(.start(.transmit, setup)).refusal == .unavailable)
    }

    @Test("A frame under way in a ring that fails keeps its memory")
    func abandoned() throws {
        var bench = try PairBench(FailingPort(underWayCount: 1))
        // What the wait for the frame is ended by.
        let event = try EventDescriptor()
        bench.pair.ring.watch(event.fileDescriptor, as: .request)
        event.signal()
        #expect(bench.pair.stop(.transmit) != nil)
        let isKept = bench.pair.abandoned != nil
        #expect(isKept)
        bench.pair.end()
    }

    @Test("Statistics can be asked for while the last queue of a pair stops")
    func statisticsWhileEnding() throws {
        let device = NetDevice(.drop)
        let setup = try NetDeviceBench(device).setup(1)
        let isOver = Flag()
        let stopped = try EventDescriptor()
        let asked = try EventDescriptor()
        let control = try WorkerThread(name: "control") {
            for _ in 0..<300 {
                do { try device.startQueue(1, setup) } catch { break }
                _ = device.stopQueue(1)
            }
            isOver.value.store(true, ordering: .relaxed)
            stopped.signal()
        }
        let statistics = try WorkerThread(name: "statistics") {
            while !isOver.value.load(ordering: .relaxed) { _ = device.statistics }
            asked.signal()
        }
        // Should they hang, the test does not.
        try #require(stopped.wait(timeoutMilliseconds: 60_000))
        try #require(asked.wait(timeoutMilliseconds: 10_000))
        control.join()
        statistics.join()
    }
}

private final class Flag: Sendable {
    let value = Atomic(false)
}

extension NetAnswer {
    fileprivate var isDone: Bool {
        if case .done = self { true } else { false }
    }

    fileprivate var refusal: QueueStartFailure? {
        if case .refused(let failure) = self { failure } else { nil }
    }
}
