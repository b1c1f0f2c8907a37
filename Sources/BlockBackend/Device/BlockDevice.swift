public import Logging
public import SharedMemory
import Synchronization
public import Virtqueue

/// A virtio-blk device on a ``BlockStorage`` (virtio 1.2, 5.2): a thread and a ring for each queue.
///
/// It takes addresses as they are, without translation by an IOMMU: ``VirtioFeatures/accessPlatform``
/// is offered so that drivers use the DMA API, and so their bounce buffers.
///
/// **Threading.** See `VirtioDevice`; ``statistics`` may be asked for by any thread.
public final class BlockDevice: VirtioDevice {
    /// How a device is made.
    public struct Configuration: Sendable {
        /// How many queues it has, at least one.
        public var queueCount = 1
        /// How long a queue may be: a power of two.
        public var queueSizeMax = 1024
        /// How long a queue looks for new requests before it sleeps, at most; 0 not at all. Ends of
        /// requests are looked for a quarter as long.
        public var pollMicroseconds = 32
        /// Whether memory is registered as fixed buffers: only a memory map that is no larger than
        /// this many bytes, for what is registered is pinned.
        public var registeredByteCountMax = 1 << 30
        public var queue = BlockQueue.Configuration()

        public init() {}
    }

    public let storage: BlockStorage
    private let configuration: Configuration
    private let logger: Logger
    private let cache = BlockCacheMode()
    private let space: BlockConfiguration
    private let state: Mutex<State>

    private struct State {
        var workers: [BlockQueueWorker?]
        /// What queues that were stopped have done.
        var stopped: [BlockQueueStatistics]
        /// Where queues that run have the driver's choice of the cache mode noted.
        var notes: [InflightRegion?]
        /// Whether the driver's choice is known.
        var isCacheModeChosen = false

        func worker(_ index: Int) -> BlockQueueWorker? {
            workers.indices.contains(index) ? workers[index] : nil
        }
    }

    /// - Parameter logger: where fall-backs, failing requests and the system's refusals are noted, once
    ///   for each kind and start of a queue. Faults of drivers are told to `QueueSetup.onFault`.
    public init(
        storage: BlockStorage, configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "BlockBackend")
    ) {
        precondition(
            configuration.queueCount > 0 && configuration.queueCount <= 256
                && QueueConfiguration.isValid(size: configuration.queueSizeMax),
            "a device has 1 to 256 queues, whose sizes are powers of two")
        self.storage = storage
        self.configuration = configuration
        self.logger = logger
        space = Self.space(of: storage, configuration)
        state = Mutex(
            State(
                workers: Array(repeating: nil, count: configuration.queueCount),
                stopped: Array(repeating: BlockQueueStatistics(), count: configuration.queueCount),
                notes: Array(repeating: nil, count: configuration.queueCount)))
    }

    public var features: VirtioFeatures {
        var features: VirtioFeatures = [
            .version1, .accessPlatform, .packedRing, .indirectDescriptors, .eventIndex, .logAll,
            .blockSizeMax, .blockSegmentMax, .blockSize, .blockTopology, .blockFlush,
            .blockConfigWriteback, .blockMultiqueue,
        ]
        features.formUnion(
            storage.isReadOnly ? .blockReadOnly : [.blockDiscard, .blockWriteZeroes])
        return features
    }

    public var queueCountMax: Int { configuration.queueCount }
    public var queueSizeMax: Int { configuration.queueSizeMax }

    public func configuration(at offset: Int, byteCount: Int) -> [UInt8]? {
        guard offset >= 0, byteCount >= 0, offset < BlockConfiguration.byteCount else {
            return nil
        }
        var space = space
        space.isWriteback = cache.isWriteback
        let part = space.bytes.dropFirst(offset).prefix(byteCount)
        return part + Array(repeating: 0, count: byteCount - part.count)
    }

    public func setConfiguration(_ bytes: [UInt8], at offset: Int) -> Bool {
        guard offset == BlockConfiguration.writebackOffset, bytes.count == 1, bytes[0] <= 1 else {
            return false
        }
        cache.isWriteback = bytes[0] == 1
        state.withLock {
            $0.isCacheModeChosen = true
            for note in $0.notes { note?.note = cacheNote }
        }
        return true
    }

    public func startQueue(_ index: Int, _ setup: QueueSetup) throws(QueueStartFailure) {
        let isFree = state.withLock {
            $0.workers.indices.contains(index) && $0.workers[index] == nil
        }
        guard isFree else { throw .unavailable }
        let cache = cacheMode(setup)
        var queue = configuration.queue
        queue.registersMemory =
            queue.registersMemory
            && setup.memoryMap.byteCount <= configuration.registeredByteCountMax
        // A queue has a thread to itself.
        queue.transfersAtOnce = true
        let worker = try BlockQueueWorker(
            index: index, storage: storage, setup: setup, cache: cache, configuration: queue,
            pollMicroseconds: configuration.pollMicroseconds, logger: logger)
        state.withLock {
            $0.workers[index] = worker
            $0.notes[index] = setup.inflight
        }
    }

    /// The mode by which a queue's writes are performed (5.2.6.2).
    private func cacheMode(_ setup: QueueSetup) -> BlockCacheMode {
        let features = setup.configuration.features
        // A driver that cannot flush must find its writes durable.
        guard features.contains(.blockFlush) else { return BlockCacheMode(isWriteback: false) }
        // What another driver has chosen is nothing to one that can choose nothing.
        guard features.contains(.blockConfigWriteback) else { return BlockCacheMode() }
        if let note = setup.inflight {
            state.withLock {
                // The driver goes on after another process has served it, which it was not told.
                guard !$0.isCacheModeChosen, note.note == Self.writeThroughNote else { return }
                $0.isCacheModeChosen = true
                cache.isWriteback = false
            }
            note.note = cacheNote
        }
        return cache
    }

    /// What in-flight regions have noted of the cache mode.
    private var cacheNote: UInt8 { cache.isWriteback ? 0 : Self.writeThroughNote }
    private static let writeThroughNote: UInt8 = 1

    public func stopQueue(_ index: Int) -> QueuePosition? {
        guard let worker = state.withLock({ $0.worker(index) }) else { return nil }
        let position = worker.stop()
        state.withLock {
            $0.workers[index] = nil
            $0.notes[index] = nil
            $0.stopped[index].add(worker.finalStatistics)
        }
        return position
    }

    public func setCall(_ call: EventDescriptor?, ofQueue index: Int) {
        state.withLock { $0.worker(index) }?.setCall(call)
    }

    public func reset() {
        state.withLock { $0.isCacheModeChosen = false }
        cache.isWriteback = true
    }

    /// What each queue has done since the device was made.
    public var statistics: [BlockQueueStatistics] {
        // Asked outside the lock: a queue may take a while to answer.
        let queues = state.withLock { state in zip(state.workers, state.stopped).map { ($0, $1) } }
        return queues.map { worker, stopped in
            var sum = stopped
            if let worker { sum.add(worker.statistics) }
            return sum
        }
    }
}

extension BlockDevice {
    private static func space(
        of storage: BlockStorage, _ configuration: Configuration
    ) -> BlockConfiguration {
        let queue = configuration.queue
        var space = BlockConfiguration()
        space.sectorCount = storage.byteCount / UInt64(sectorByteCount)
        space.segmentByteCountMax = 1 << 20
        // With header and status a request is to fit into a queue without indirect descriptors, or
        // the driver waits for room for ever: into the longest, or the 128 that frontends make by
        // default. A frontend that makes shorter ones has to see to it.
        space.segmentCountMax = UInt32(
            max(min(queue.segmentCountMax, configuration.queueSizeMax - 2, 126), 1))
        space.blockByteCount = UInt32(storage.logicalBlockByteCount)
        // What is best transferred at once: what direct I/O takes.
        let physical = max(storage.alignment?.offset ?? 4096, storage.logicalBlockByteCount)
        space.physicalBlockExponent = UInt8(
            (physical / storage.logicalBlockByteCount).trailingZeroBitCount)
        space.ioBlockCountMin = UInt16(physical / storage.logicalBlockByteCount)
        space.queueCount = UInt16(configuration.queueCount)
        guard !storage.isReadOnly else { return space }
        space.discardSectorCountMax = queue.rangeSectorCountMax
        space.discardSegmentCountMax = UInt32(queue.rangeCountMax)
        space.discardSectorAlignment = UInt32(max(storage.discardGranule / sectorByteCount, 1))
        space.zeroesSectorCountMax = queue.rangeSectorCountMax
        space.zeroesSegmentCountMax = UInt32(queue.rangeCountMax)
        space.zeroesMayUnmap = true
        return space
    }
}
