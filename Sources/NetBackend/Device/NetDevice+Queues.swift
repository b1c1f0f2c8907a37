public import SharedMemory
import Synchronization
public import Virtqueue

extension NetDevice {
    public func startQueue(_ index: Int, _ setup: QueueSetup) throws(QueueStartFailure) {
        guard let place = place(of: index, setup.configuration.features),
            !pairs.withLock({ $0.running.keys.contains(index) || $0.running.values.contains(place) }
            )
        else { throw .unavailable }
        let worker = try worker(place.pair)
        if case .refused(let failure) = worker.ask(.start(place.side, setup)) {
            endIfUnused(place.pair)
            throw failure
        }
        pairs.withLock { $0.running[index] = place }
    }

    public func stopQueue(_ index: Int) -> QueuePosition? {
        guard let (place, worker) = running(index) else { return nil }
        let answer = worker.ask(.stop(place.side))
        pairs.withLock { $0.running[index] = nil }
        endIfUnused(place.pair)
        guard case .stopped(let position) = answer else { return nil }
        return position
    }

    public func setCall(_ call: EventDescriptor?, ofQueue index: Int) {
        guard let (place, worker) = running(index) else { return }
        _ = worker.ask(.setCall(place.side, call))
    }

    public func reset() {
        state.reset()
    }

    /// What each pair has done since the device was made.
    public var statistics: [NetPairStatistics] {
        // Copied under the lock, element by element: whoever changes them does so in place.
        let pairs = pairs.withLock { zip($0.workers, $0.ended).map { ($0, $1) } }
        return pairs.map { worker, ended in
            var sum = ended
            if let worker { sum.add(worker.statistics) }
            return sum
        }
    }

    /// Asks the driver to announce itself, where it has agreed to be asked
    /// (``VirtioFeatures/netGuestAnnounce``): its place in the network has changed.
    public func requestAnnouncement() {
        state.requestAnnouncement()
    }

    private func running(_ index: Int) -> (Place, NetPairWorker)? {
        pairs.withLock {
            guard let place = $0.running[index], let worker = $0.workers[place.pair] else {
                return nil
            }
            return (place, worker)
        }
    }

    /// Whose a queue is, by its number and by what was negotiated.
    private func place(of index: Int, _ features: VirtioFeatures) -> Place? {
        let pairCount = features.contains(.netMultiqueue) ? configuration.pairCount : 1
        if index == 2 * pairCount {
            return features.contains(.netControlQueue) ? Place(pair: 0, side: .control) : nil
        }
        guard index >= 0, index < 2 * pairCount else { return nil }
        return Place(pair: index / 2, side: index % 2 == 0 ? .receive : .transmit)
    }

    /// The thread of a pair, which is started with its first queue.
    private func worker(_ pair: Int) throws(QueueStartFailure) -> NetPairWorker {
        if let worker = pairs.withLock({ $0.workers[pair] }) { return worker }
        let worker = try makeWorker(pair)
        pairs.withLock { $0.workers[pair] = worker }
        return worker
    }

    private func makeWorker(_ pair: Int) throws(QueueStartFailure) -> NetPairWorker {
        let poll = configuration.pollMicroseconds
        switch connection {
        case .drop:
            return try NetPairWorker(
                index: pair, entryCount: 1, state: state, pollMicroseconds: poll, logger: logger
            ) { _ in DropPort() }
        case .loopback:
            return try NetPairWorker(
                index: pair, entryCount: 1, state: state, pollMicroseconds: poll, logger: logger
            ) { _ in LoopbackPort() }
        case .tap(let device):
            return try NetPairWorker(
                index: pair, entryCount: TapPort.entryCount, state: state, pollMicroseconds: poll,
                logger: logger
            ) { [state, logger] ring throws(SystemCallError) in
                try TapPort(device, queue: pair, state: state, &ring, logger: logger)
            }
        }
    }

    /// Ends the thread of a pair with its last queue.
    private func endIfUnused(_ pair: Int) {
        let worker = pairs.withLock { pairs in
            pairs.running.values.contains { $0.pair == pair } ? nil : pairs.workers[pair]
        }
        guard let statistics = worker?.end() else { return }
        // Until now it could be asked what it has done, so nothing was missing in any report.
        pairs.withLock {
            $0.workers[pair] = nil
            $0.ended[pair].add(statistics)
        }
    }
}
