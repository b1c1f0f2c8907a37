import SharedMemory
import Uring
import Virtqueue

/// Why a queue stopped by itself.
enum BlockQueueStop: Error {
    case fault(QueueFault)
    case system(SystemCallError)
}

extension BlockQueueStop: CustomStringConvertible {
    var description: String {
        switch self {
        case .fault(let fault): "the driver broke the queue's rules (\(fault))"
        case .system(let error): "the system refused to go on (\(error))"
        }
    }
}

/// The turns of a queue, and its waits: one thread, one ring.
struct BlockQueueLoop {
    private let kick: EventDescriptor?
    private let control: EventDescriptor
    /// Whether the driver has kicked once: before it has, its rings are left alone.
    private var isKicked: Bool
    /// For waits where the driver's turn is next.
    private var driverPoll: AdaptivePoll
    /// For waits that last as long as the storage takes. They end with one wake-up; one for the driver
    /// costs the driver a kick as well, so it pays to look for that longer.
    private var storagePoll: AdaptivePoll
    /// How many requests the driver has been given back and has made no others for: a driver that keeps
    /// a number of them under way will.
    private var expectedCount = 0
    private var isBusy = true
    /// How many requests are taken, and given back, in a turn at most: few after a pause, when driver
    /// and storage have nothing to do until they are told, and more while there is more.
    private var batchCount = 1

    private static let batchCountMax = 16

    init(
        kick: EventDescriptor?, control: EventDescriptor, isKicked: Bool, pollMicroseconds: Int
    ) {
        self.kick = kick
        self.control = control
        self.isKicked = isKicked || kick == nil
        driverPoll = AdaptivePoll(limitMicroseconds: pollMicroseconds)
        storagePoll = AdaptivePoll(limitMicroseconds: pollMicroseconds / 4)
    }

    mutating func begin(_ queue: inout BlockQueue) {
        queue.engine.watch(control.fileDescriptor, as: .control)
        if let kick { queue.engine.watch(kick.fileDescriptor, as: .kick) }
        if queue.isResumed { isKicked = true }
        if isKicked { queue.disableKicks() }
    }

    /// One turn: takes requests, hands them over, gives back what has ended.
    ///
    /// - Returns: whether to call the driver.
    mutating func turn(_ queue: inout BlockQueue) throws(BlockQueueStop) -> Bool {
        var taken = 0
        if isKicked {
            do throws(QueueFault) {
                taken = try queue.fetch(atMost: batchCount)
            } catch {
                throw .fault(error)
            }
            if queue.engine.hasUnsubmitted {
                try submit(&queue, mayWait: taken > 0 && taken < batchCount)
            }
        }
        let ended = queue.reap(atMost: batchCount)
        let wasKicked = queue.engine.takeWake(.kick)
        if wasKicked {
            queue.statistics.kickCount += 1
            isKicked = true
        }
        _ = queue.engine.takeWake(.control)
        isBusy = taken > 0 || ended > 0 || wasKicked
        expectedCount = max(expectedCount + ended - taken, 0)
        batchCount = isBusy ? min(batchCount * 2, Self.batchCountMax) : 1
        let isCalling = queue.publish()
        if isCalling { queue.statistics.callCount += 1 }
        return isCalling
    }

    /// Hands over what was taken. Where the storage is known to take its time, and there is nothing to
    /// take or to show, the wait for it is made in the same system call.
    private func submit(
        _ queue: inout BlockQueue, mayWait: Bool
    ) throws(BlockQueueStop) {
        // What was refused has ended already, and the driver waits for it.
        guard mayWait, !queue.hasUnpublished, !queue.engine.hasCompletion,
            storagePoll.current == 0, kick != nil, !queue.enableKicks()
        else {
            return try enter(&queue, minimumCompletionCount: 0)
        }
        queue.statistics.waitCount += 1
        try enter(&queue, minimumCompletionCount: 1)
        queue.disableKicks()
    }

    /// Waits until there is something to do, where there was nothing in the last turn.
    ///
    /// - Parameter isWanted: whether the control plane wants something; ends polling. A wait in the
    ///   kernel is ended by its event.
    mutating func waitForWork(
        _ queue: inout BlockQueue, isWanted: () -> Bool
    ) throws(BlockQueueStop) {
        guard !isBusy else { return }
        guard isKicked else {
            // The event of a wish that came meanwhile may have been taken already.
            if !isWanted() { try enter(&queue, minimumCompletionCount: 1) }
            return
        }
        let isDriversTurn = expectedCount > 0 || queue.engine.isIdle
        let poll = isDriversTurn ? driverPoll : storagePoll
        let begin = poll.limit > 0 ? AdaptivePoll.now() : 0
        if try !findsWork(&queue, limit: poll.current, since: begin, isWanted), kick != nil,
            !isWanted()
        {
            expectedCount = 0
            // Full: what is in the virtqueue has to wait for what is under way.
            if queue.isFull || !queue.enableKicks() {
                queue.statistics.waitCount += 1
                try enter(&queue, minimumCompletionCount: 1)
            }
            queue.disableKicks()
        }
        guard poll.limit > 0 else { return }
        let wait = AdaptivePoll.now() - begin
        if isDriversTurn {
            driverPoll.note(waitNanoseconds: wait)
        } else {
            storagePoll.note(waitNanoseconds: wait)
        }
    }

    /// Looks for work for as long as it pays.
    private func findsWork(
        _ queue: inout BlockQueue, limit: UInt64, since begin: UInt64, _ isWanted: () -> Bool
    ) throws(BlockQueueStop) -> Bool {
        guard limit > 0 || kick == nil else { return false }
        repeat {
            for _ in 0..<16 {
                if !queue.isFull, queue.hasNext {
                    queue.statistics.pollHitCount += 1
                    return true
                }
                AdaptivePoll.relax()
            }
            if !queue.engine.isIdle, queue.engine.mayHaveCompletion {
                try enter(&queue, minimumCompletionCount: 0)
                if queue.engine.hasCompletion {
                    queue.statistics.pollHitCount += 1
                    return true
                }
            }
            if isWanted() { break }
            AdaptivePoll.yield()
        } while limit > 0 && AdaptivePoll.now() - begin < limit
        queue.statistics.pollMissCount += 1
        return false
    }

    /// Ends what is under way, and takes nothing more.
    mutating func drain(_ queue: inout BlockQueue) throws(BlockQueueStop) {
        while !queue.engine.isIdle {
            _ = queue.reap()
            if !queue.engine.isIdle { try enter(&queue, minimumCompletionCount: 1) }
        }
    }

    /// The same where the queue has failed, as far as that goes.
    mutating func abandon(_ queue: inout BlockQueue) {
        try? drain(&queue)
    }

    /// Stops watching events. Nothing of them is taken from others who wait for them any more.
    ///
    /// Whoever has the rings next waits for a kick: the driver is asked for kicks again, and what it has
    /// kicked for, and is still in the ring, is kicked for once more.
    ///
    /// - Parameter isBroken: whether the rings are not to be touched any more.
    mutating func end(_ queue: inout BlockQueue, isBroken: Bool) {
        queue.engine.endWatches()
        let wasKicked = queue.engine.takeWake(.kick)
        queue.engine.drain()
        if isBroken { return }
        if isKicked ? queue.enableKicks() : wasKicked { kick?.signal() }
    }

    private func enter(
        _ queue: inout BlockQueue, minimumCompletionCount count: Int
    ) throws(BlockQueueStop) {
        do throws(SystemCallError) {
            try queue.engine.submitAndWait(minimumCompletionCount: count)
        } catch {
            throw .system(error)
        }
    }
}
