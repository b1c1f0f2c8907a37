import Logging
import SharedMemory
import Synchronization
import SystemPackage
import Virtqueue

/// The thread that runs a queue of a device: it waits for kicks and completions in one system call,
/// and polls for a while before it does.
///
/// It alone writes to the driver's call descriptor: a hostile driver can make such a write wait
/// (`EventDescriptor.signal()`), and then only its own queue does.
///
/// **Threading.** The control plane calls; ``statistics`` may be asked for by any thread.
final class BlockQueueWorker: Sendable {
    /// What the control plane and the worker tell each other.
    private struct Shared {
        var call: EventDescriptor?
        var statistics = BlockQueueStatistics()
        var start: Result<Void, QueueStartFailure>?
        var position: QueuePosition?
    }

    /// What the control plane wants.
    private enum Wish {
        static let stop: UInt8 = 1
        static let statistics: UInt8 = 2
        /// Use ``Shared/call`` from now on.
        static let newCall: UInt8 = 4
    }

    private let shared: Mutex<Shared>
    private let wishes = Atomic<UInt8>(0)
    /// Wakes the worker for what the control plane wants of it.
    private let control: EventDescriptor
    /// Wakes who waits for the start, or for statistics.
    private let answer: EventDescriptor
    /// Signalled when the worker is done.
    private let ended: EventDescriptor
    /// Held while statistics are asked for.
    private let asking = Mutex(())
    private let thread = Mutex<WorkerThread?>(nil)
    private let label: String

    /// How long a stop waits until it looks whether the worker hangs.
    private static let stopMilliseconds: Int32 = 100

    /// Starts a queue.
    ///
    /// - Returns: when it is running.
    init(
        index: Int, storage: BlockStorage, setup: QueueSetup, cache: BlockCacheMode,
        configuration: BlockQueue.Configuration, pollMicroseconds: Int, logger: Logger
    ) throws(QueueStartFailure) {
        shared = Mutex(Shared(call: setup.call))
        label = "queue \(index)"
        // Not to be kept open by the thread once it was replaced.
        var kept = setup
        kept.call = nil
        let setup = kept
        do throws(SystemCallError) {
            control = try EventDescriptor()
            answer = try EventDescriptor()
            ended = try EventDescriptor()
            let thread = try WorkerThread(name: "blk-queue-\(index)") { [self] in
                run(
                    storage: storage, setup: setup, cache: cache, configuration: configuration,
                    pollMicroseconds: pollMicroseconds, logger: logger)
                ended.signal()
            }
            self.thread.withLock { $0 = thread }
        } catch {
            throw .system(error)
        }
        while true {
            _ = answer.wait()
            if let result = shared.withLock({ $0.start }) {
                guard case .failure(let failure) = result else { return }
                join()
                throw failure
            }
        }
    }

    /// Stops the queue after what is under way, and waits for that.
    func stop() -> QueuePosition {
        wish(Wish.stop)
        while !ended.wait(timeoutMilliseconds: Self.stopMilliseconds) {
            // A call that the driver keeps from ending; what waits for the storage just waits on.
            thread.withLock { $0?.interrupt() }
        }
        join()
        return shared.withLock { $0.position } ?? QueuePosition(available: 0, used: 0)
    }

    /// Changes what the driver is called by. The driver is called once, for what it may have missed.
    func setCall(_ call: EventDescriptor?) {
        shared.withLock { $0.call = call }
        wish(Wish.newCall)
    }

    /// What the queue has done, as of some milliseconds ago at most; longer ago where it hangs.
    var statistics: BlockQueueStatistics {
        asking.withLock { _ in
            // An answer that came too late for who had asked.
            answer.clear()
            wish(Wish.statistics)
            _ = answer.wait(timeoutMilliseconds: 100)
        }
        return shared.withLock { $0.statistics }
    }

    /// What the queue had done when it stopped.
    var finalStatistics: BlockQueueStatistics { shared.withLock { $0.statistics } }

    private func wish(_ wish: UInt8) {
        // Pairs with the worker's load: it sees what belongs to the wish.
        wishes.bitwiseOr(wish, ordering: .releasing)
        control.signal()
    }

    private func join() {
        thread.withLock { $0.take() }?.join()
    }
}

extension BlockQueueWorker {
    /// The thread.
    private func run(
        storage: BlockStorage, setup: QueueSetup, cache: BlockCacheMode,
        configuration: BlockQueue.Configuration, pollMicroseconds: Int, logger: Logger
    ) {
        do throws(QueueStartFailure) {
            var queue = try BlockQueue(
                storage: storage, setup: setup, cache: cache, configuration: configuration,
                logger: logger)
            shared.withLock { $0.start = .success(()) }
            answer.signal()
            var loop = BlockQueueLoop(
                kick: setup.kick, control: control, isKicked: setup.startsUnkicked,
                pollMicroseconds: pollMicroseconds)
            serve(&queue, &loop, onFault: setup.onFault, logger: logger)
            shared.withLock {
                $0.position = queue.position
                $0.statistics = queue.statistics
            }
        } catch {
            shared.withLock { $0.start = .failure(error) }
            answer.signal()
        }
    }

    /// Runs the queue until it is to stop.
    private func serve(
        _ queue: inout BlockQueue, _ loop: inout BlockQueueLoop,
        onFault: (QueueFault) -> Void, logger: Logger
    ) {
        var call = shared.withLock { $0.call }
        var isBroken = false
        do throws(BlockQueueStop) {
            loop.begin(&queue)
            // A former device may have ended between what it gave back and its call, and a driver that waits
            // for that asks for nothing else.
            if queue.isResumed {
                queue.statistics.callCount += 1
                call?.signal()
            }
            while !isWished(Wish.stop) {
                if try loop.turn(&queue) { call?.signal() }
                if wishes.load(ordering: .relaxed) != 0 { attend(to: queue.statistics, &call) }
                if let errno = queue.takeNewErrno() {
                    logger.error("\(label): requests fail (\(errno)); said once")
                }
                try loop.waitForWork(&queue) { wishes.load(ordering: .relaxed) != 0 }
            }
            try loop.drain(&queue)
        } catch {
            isBroken = true
            loop.abandon(&queue)
            // Who is told of a fault says so as often as it likes. The frontend learns that the queue is
            // over; of the system's reasons there is but one among the faults.
            if case .fault(let fault) = error {
                onFault(fault)
            } else {
                logger.error("\(label) stopped: \(error)")
                onFault(.outOfMemory)
            }
        }
        attend(to: queue.statistics, &call)
        if queue.publish() {
            queue.statistics.callCount += 1
            call?.signal()
        }
        loop.end(&queue, isBroken: isBroken)
        // A queue that stopped itself counts as running until it is told to stop.
        while !isWished(Wish.stop) {
            attend(to: queue.statistics, &call)
            _ = control.wait()
        }
    }

    private func isWished(_ wish: UInt8) -> Bool {
        // Pairs with `wish`.
        wishes.load(ordering: .acquiring) & wish != 0
    }

    /// Does what the control plane wants, but for stopping.
    private func attend(to statistics: BlockQueueStatistics, _ call: inout EventDescriptor?) {
        // Pairs with `wish`: what belongs to a wish taken back here is seen below.
        let wished = wishes.bitwiseAnd(Wish.stop, ordering: .acquiringAndReleasing).oldValue
        if wished & Wish.newCall != 0 {
            call = shared.withLock { $0.call }
            // The driver may have waited for this one since before the last was signalled.
            call?.signal()
        }
        if wished & Wish.statistics != 0 {
            shared.withLock { $0.statistics = statistics }
            answer.signal()
        }
    }
}
