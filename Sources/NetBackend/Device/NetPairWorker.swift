import Logging
import SharedMemory
import Synchronization
import SystemPackage
import Virtqueue

/// The thread of a pair of queues, and how it is told what to do: one request at a time, each of which it
/// answers between two turns.
///
/// It alone writes to the drivers' call descriptors: a hostile driver can make such a write wait
/// (`EventDescriptor.signal()`), and then only its own pair does.
///
/// **Threading.** Any thread may ask.
final class NetPairWorker: Sendable {
    private struct Shared {
        var request: NetRequest?
        var answer: NetAnswer?
    }

    private let shared = Mutex(Shared())
    /// Whether there is a request: looked at in every turn.
    private let isAsked = Atomic<Bool>(false)
    /// Wakes the thread for a request.
    private let wake: EventDescriptor
    /// Wakes who waits for the answer.
    private let answered: EventDescriptor
    /// What the pair has done, once the thread has ended. Held while something is asked.
    private let asking = Mutex<NetPairStatistics?>(nil)
    private let thread = Mutex<WorkerThread?>(nil)
    private let label: String

    /// How long is waited for an answer before the thread is interrupted: a call that the driver keeps
    /// from ending.
    private static let answerMilliseconds: Int32 = 100

    /// Starts a thread, which has no queue yet.
    ///
    /// - Parameter makePort: makes the pair's port, on the thread.
    /// - Throws: what making the port or its ring throws.
    init<Port: NetPort & ~Copyable>(
        index: Int, entryCount: Int, state: NetState, pollMicroseconds: Int, logger: Logger,
        makePort: @escaping @Sendable (inout NetRing) throws(SystemCallError) -> Port
    ) throws(QueueStartFailure) {
        label = "pair \(index)"
        do throws(SystemCallError) {
            wake = try EventDescriptor()
            answered = try EventDescriptor()
            let thread = try WorkerThread(name: "net-pair-\(index)") { [self] in
                run(entryCount: entryCount, state, pollMicroseconds, logger, makePort)
            }
            self.thread.withLock { $0 = thread }
        } catch {
            throw .system(error)
        }
        // The first answer is to no request.
        if case .refused(let failure) = waitForAnswer() {
            join()
            throw failure
        }
    }

    /// Has the thread do something, and waits for it.
    func ask(_ request: NetRequest) -> NetAnswer {
        asking.withLock { final in
            final == nil ? perform(request) : .refused(.unavailable)
        }
    }

    /// What the pair has done.
    var statistics: NetPairStatistics {
        asking.withLock { $0 ?? result(of: .statistics) }
    }

    /// Ends the thread.
    ///
    /// - Returns: what the pair has done.
    func end() -> NetPairStatistics {
        // Nobody may ask a thread that is gone.
        let statistics = asking.withLock { final in
            let statistics = result(of: .end)
            final = statistics
            return statistics
        }
        join()
        return statistics
    }

    private func result(of request: NetRequest) -> NetPairStatistics {
        guard case .statistics(let statistics) = perform(request) else {
            return NetPairStatistics()
        }
        return statistics
    }

    private func perform(_ request: NetRequest) -> NetAnswer {
        shared.withLock { $0.request = request }
        // Pairs with the thread's load: it sees the request.
        isAsked.store(true, ordering: .releasing)
        wake.signal()
        return waitForAnswer()
    }

    private func waitForAnswer() -> NetAnswer {
        while true {
            if !answered.wait(timeoutMilliseconds: Self.answerMilliseconds) {
                thread.withLock { $0?.interrupt() }
            }
            if let answer = shared.withLock({ $0.answer.take() }) { return answer }
        }
    }

    private func join() {
        thread.withLock { $0.take() }?.join()
    }

    private func answer(_ answer: NetAnswer) {
        shared.withLock { $0.answer = answer }
        answered.signal()
    }
}

extension NetPairWorker {
    /// The thread.
    private func run<Port: NetPort & ~Copyable>(
        entryCount: Int, _ state: NetState, _ pollMicroseconds: Int, _ logger: Logger,
        _ makePort: (inout NetRing) throws(SystemCallError) -> Port
    ) {
        do throws(SystemCallError) {
            var ring = try NetRing(entryCount: entryCount)
            let port = try makePort(&ring)
            // Last: a ring that watches for something cannot just be dropped.
            ring.watch(wake.fileDescriptor, as: .request)
            var pair = NetPair(port: port, ring: ring)
            answer(.done)
            serve(&pair, state, AdaptivePoll(limitMicroseconds: pollMicroseconds), logger)
            pair.end()
            answer(.statistics(pair.totalStatistics))
        } catch {
            answer(.refused(.system(error)))
        }
    }

    /// Runs the pair until it is told to end.
    private func serve<Port: NetPort & ~Copyable>(
        _ pair: inout NetPair<Port>, _ state: NetState, _ poll: AdaptivePoll, _ logger: Logger
    ) {
        var poll = poll
        while true {
            do throws(NetFault) {
                let isBusy = try pair.turn()
                // Pairs with `ask`.
                if isAsked.load(ordering: .acquiring), !obey(&pair, state) { return }
                if !isBusy {
                    try pair.waitForWork(&poll) { isAsked.load(ordering: .relaxed) }
                }
            } catch {
                // Who is told of a fault says so as often as it likes.
                do throws(SystemCallError) {
                    try pair.fail(error)
                } catch {
                    return standStill(&pair, state, error, logger)
                }
            }
        }
    }

    /// Answers a request.
    ///
    /// - Parameter isBroken: whether nothing can be started any more.
    /// - Returns: false where the thread is to end, with that request unanswered.
    private func obey<Port: NetPort & ~Copyable>(
        _ pair: inout NetPair<Port>, _ state: NetState, isBroken: Bool = false
    ) -> Bool {
        // The request is under the lock; whoever asks waits for the answer, so there is no other one.
        isAsked.store(false, ordering: .relaxed)
        _ = pair.ring.takeWake(.request)
        guard let request = shared.withLock({ $0.request.take() }) else { return true }
        switch request {
        case .start(let side, let setup):
            do throws(QueueStartFailure) {
                guard !isBroken else { throw .unavailable }
                try pair.start(side, setup, state: state)
                answer(.done)
            } catch {
                answer(.refused(error))
            }
        case .stop(let side):
            answer(.stopped(pair.stop(side)))
        case .setCall(let side, let call):
            pair.setCall(side, call)
            answer(.done)
        case .statistics:
            answer(.statistics(pair.totalStatistics))
        case .end:
            return false
        }
        return true
    }

    /// What is left where the system refuses to go on: queues can be stopped, and none started.
    private func standStill<Port: NetPort & ~Copyable>(
        _ pair: inout NetPair<Port>, _ state: NetState, _ error: SystemCallError, _ logger: Logger
    ) {
        logger.error("\(label) stopped: \(error)")
        pair.failAll()
        while true {
            _ = wake.wait()
            // Pairs with `ask`.
            if isAsked.load(ordering: .acquiring), !obey(&pair, state, isBroken: true) {
                return
            }
        }
    }
}
