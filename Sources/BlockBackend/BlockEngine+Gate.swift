import SharedMemory
import Uring

// How an engine whose requests wait at the gate is woken by the engine that they wait for: a read of
// its event is under way in its ring, beside its requests. It is prepared when requests wait, and stays
// until it is signalled; requests that the engine itself lets pass need no signal, so it may outlast
// them, idle.
extension BlockEngine {
    /// Whether requests wait at the gate, and so for an event.
    var isWaitingAtGate: Bool { gate.isWaiting }

    /// How many operations of the ring are requests.
    var requestOperationCount: Int { ring.outstandingCount - (isReadingGateEvent ? 1 : 0) }

    /// Prepares the read of the event, where that is needed and not done.
    @inline(__always)
    mutating func prepareGateEvent() {
        if isWaitingAtGate, !isReadingGateEvent { readGateEvent() }
    }

    @inline(never)
    private mutating func readGateEvent() {
        guard let event = gate.event else { return }
        let isPrepared = ring.prepareRead(
            of: event.fileDescriptor, into: eventCount.hostRange, tag: RingTag(.gate).rawValue)
        precondition(isPrepared, "the ring has an entry for it")
        isReadingGateEvent = true
    }

    /// Takes in that the event was read: others have let a request of this engine pass.
    mutating func gateEventEnded(_ completion: RingCompletion) {
        isReadingGateEvent = false
        // A read that was interrupted is prepared again with the next submission.
        guard completion.result == EventDescriptor.byteCount else { return }
        gate.beginTurn()
        prepareAdmitted()
    }

    /// Prepares those requests that may pass the gate now.
    mutating func prepareAdmitted() {
        while let row = gate.nextAdmitted(of: &table) { prepare(row) }
    }

    /// Ends what the engine has at the gate but requests under way, so that the ring can be drained.
    func withdrawFromGate() {
        gate.withdraw(table)
        if isReadingGateEvent { gate.event?.signal() }
    }
}
