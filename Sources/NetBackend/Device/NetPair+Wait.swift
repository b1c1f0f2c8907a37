import Uring
import Virtqueue

extension NetPair where Port: ~Copyable {
    /// Waits until there is something to do, where there was nothing in the last turn.
    ///
    /// - Parameters:
    ///   - poll: how long to look before the thread sleeps.
    ///   - isWanted: whether the control plane wants something; ends polling. A sleep is ended by its
    ///     event.
    mutating func waitForWork(
        _ poll: inout AdaptivePoll, isWanted: () -> Bool
    ) throws(NetFault) {
        let begin = poll.limit > 0 ? AdaptivePoll.now() : 0
        if try !findsWork(limit: poll.current, since: begin, isWanted), !isPolled, !isWanted() {
            if !enableKicks() {
                statistics.waitCount += 1
                try ring.enter(minimumCompletionCount: 1)
            }
            disableKicks()
        }
        if poll.limit > 0 { poll.note(waitNanoseconds: AdaptivePoll.now() - begin) }
    }

    /// Looks for work for as long as it pays.
    private mutating func findsWork(
        limit: UInt64, since begin: UInt64, _ isWanted: () -> Bool
    ) throws(NetFault) -> Bool {
        guard limit > 0 || isPolled else { return false }
        repeat {
            for _ in 0..<16 {
                if hasNext {
                    statistics.pollHitCount += 1
                    return true
                }
                AdaptivePoll.relax()
            }
            // Ends of operations show up when the ring is entered, and kicks among them.
            if isPolled || port.hasOperations {
                try ring.enter(minimumCompletionCount: 0)
                if ring.ring.hasCompletion {
                    statistics.pollHitCount += 1
                    return true
                }
            }
            if isWanted() { break }
        } while limit > 0 && AdaptivePoll.now() - begin < limit
        statistics.pollMissCount += 1
        return false
    }

    /// Whether a queue has what the thread waits for. A frame that the port has no room for waits for
    /// something else.
    private var hasNext: Bool {
        mutating get {
            transmit?.hasNext == true || receive?.hasNext == true || control?.hasNext == true
        }
    }

    /// Whether a driver never says that it has made something available: then the thread never sleeps.
    private var isPolled: Bool {
        mutating get {
            transmit != nil && ends[NetSide.transmit.rawValue].kick == nil
                || receive?.isHoldingBack == true && ends[NetSide.receive.rawValue].kick == nil
                || control != nil && ends[NetSide.control.rawValue].kick == nil
        }
    }

    /// Asks drivers to kick for what the thread waits for, and looks once more.
    ///
    /// - Returns: whether there is something already.
    private mutating func enableKicks() -> Bool {
        var hasWork = false
        if transmit?.waitsForFrames == true, transmit?.queue.enableKicks() == true {
            hasWork = true
        }
        if receive?.waitsForBuffers == true, receive?.queue.enableKicks() == true {
            hasWork = true
        }
        if control?.isReady == true, control?.queue.enableKicks() == true { hasWork = true }
        return hasWork
    }
}

extension TransmitQueue {
    /// Whether a new frame could be handed on.
    var waitsForFrames: Bool { isReady && !isHeldBack }
    var hasNext: Bool { waitsForFrames && queue.hasNext }
}

extension ReceiveQueue {
    /// Whether a frame waits for buffers.
    var waitsForBuffers: Bool { isReady && isHoldingBack }
    var hasNext: Bool { waitsForBuffers && queue.hasNext }
}

extension ControlQueue {
    var hasNext: Bool { isReady && queue.hasNext }
}
