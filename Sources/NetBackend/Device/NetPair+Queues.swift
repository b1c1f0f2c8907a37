import SharedMemory
import Uring
import Virtqueue

// Queues come and go while the thread runs.
extension NetPair where Port: ~Copyable {
    /// Starts a queue that is not running.
    mutating func start(
        _ side: NetSide, _ setup: QueueSetup, state: NetState
    ) throws(QueueStartFailure) {
        switch side {
        case .receive:
            receive = try ReceiveQueue(setup)
            statistics.receive.leftOverCount += port.forgetFrames()
            port.beganReceiving(setup.configuration.features)
        case .transmit: transmit = try TransmitQueue(setup, mtu: Int(state.configuration.mtu))
        case .control: control = try ControlQueue(setup, state: state)
        }
        ends[side.rawValue] = NetEnds(setup)
        if let kick = setup.kick { ring.watch(kick.fileDescriptor, as: side.wake) }
        disableKicks()
    }

    /// Stops a queue after what is under way.
    ///
    /// - Returns: where it is, also where it had failed; `nil` where it was not started.
    mutating func stop(_ side: NetSide) -> QueuePosition? {
        guard ends[side.rawValue].isStarted else { return nil }
        let failed = ends[side.rawValue].position
        let position = close(side)
        ends[side.rawValue] = NetEnds()
        return position ?? failed
    }

    /// Stops a queue whose driver broke its rules.
    ///
    /// - Throws: what is not a queue's fault.
    mutating func fail(_ fault: NetFault) throws(SystemCallError) {
        let (side, reason): (NetSide, QueueFault)
        switch fault {
        case .transmit(let fault): (side, reason) = (.transmit, fault)
        case .receive(let fault): (side, reason) = (.receive, fault)
        case .control(let fault): (side, reason) = (.control, fault)
        case .system(let error): throw error
        }
        statistics.faultCount += 1
        ends[side.rawValue].position = close(side)
        ends[side.rawValue].onFault(reason)
    }

    /// Stops all queues where the system refuses to go on; of its reasons there is but one among the
    /// faults.
    mutating func failAll() {
        for side in NetSide.allCases
        where ends[side.rawValue].isStarted && ends[side.rawValue].position == nil {
            statistics.faultCount += 1
            ends[side.rawValue].position = close(side)
            ends[side.rawValue].onFault(.outOfMemory)
        }
    }

    /// Changes what a driver is called by, and calls it once.
    mutating func setCall(_ side: NetSide, _ call: EventDescriptor?) {
        guard ends[side.rawValue].isStarted else { return }
        ends[side.rawValue].call = call
        // The driver may have waited for this one since before the last was signalled.
        call?.signal()
    }

    /// Ends what is under way, before the ring is destroyed.
    mutating func end() {
        for side in NetSide.allCases { _ = stop(side) }
        ring.endWatch(.request)
        ring.endWatch(.link)
        port.end(&ring)
        while ring.ring.outstandingCount > 0 {
            do { try ring.enter(minimumCompletionCount: 1) } catch { break }
            collect()
        }
        statistics.receive.leftOverCount += port.forgetFrames()
    }

    /// Ends what is under way of a queue and what is watched for it, and takes in what it has done.
    ///
    /// - Returns: where it is; `nil` where it is not running.
    private mutating func close(_ side: NetSide) -> QueuePosition? {
        if case .transmit = side { settle() }
        publish()
        ring.endWatch(side.wake)
        while ring.isWatching(side.wake) {
            // The ring is the thread's own, and fails only where the system cannot go on at all.
            do { try ring.enter(minimumCompletionCount: 1) } catch { break }
            collect()
        }
        switch side {
        case .receive:
            port.endedReceiving()
            guard var queue = receive.take() else { return nil }
            // A successor that waits for a first kick is to get one.
            if queue.isReady { _ = queue.queue.enableKicks() }
            statistics.receive.add(queue.statistics)
            return queue.queue.position
        case .transmit:
            guard var queue = transmit.take() else { return nil }
            if queue.isReady { _ = queue.queue.enableKicks() }
            statistics.transmit.add(queue.statistics)
            let position = queue.queue.position
            if port.underWayCount > 0 { abandoned = consume queue }
            return position
        case .control:
            guard var queue = control.take() else { return nil }
            if queue.isReady { _ = queue.queue.enableKicks() }
            statistics.commandCount += queue.commandCount
            statistics.refusedCommandCount += queue.refusedCommandCount
            return queue.queue.position
        }
    }

    /// Waits until no frame of the transmit queue is under way, as long as the ring lets itself be waited in.
    private mutating func settle() {
        var none: ReceiveQueue?
        while port.underWayCount > 0 {
            do throws(NetFault) {
                try ring.enter(minimumCompletionCount: 1)
                collect()
                // Nothing is delivered: a fault of the receive queue is not to be met in here.
                _ = try port.turn(&transmit, &none, &ring)
            } catch {
                return
            }
        }
    }

    /// What the pair has done.
    var totalStatistics: NetPairStatistics {
        mutating get {
            var sum = statistics
            if let now = transmit?.statistics { sum.transmit.add(now) }
            if let now = receive?.statistics { sum.receive.add(now) }
            sum.commandCount += control?.commandCount ?? 0
            sum.refusedCommandCount += control?.refusedCommandCount ?? 0
            return sum
        }
    }

    /// Asks the driver not to kick: the thread looks by itself.
    mutating func disableKicks() {
        if transmit?.isReady == true { transmit?.queue.disableKicks() }
        // Buffers are looked for when there is a frame to put into them.
        if receive?.isReady == true { receive?.queue.disableKicks() }
        if control?.isReady == true { control?.queue.disableKicks() }
    }
}
