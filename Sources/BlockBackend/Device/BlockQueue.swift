import BasicContainers
public import Logging
public import SharedMemory
import SystemPackage
public import Virtqueue

/// A request queue of a virtio-blk device, without a thread: takes requests from a virtqueue, has a
/// ``BlockEngine`` perform them, and gives them back with their status (virtio 1.2, 5.2.6).
///
/// A turn is ``fetch(atMost:)``, ``reap()``, ``publish()``, by whoever owns the queue: a worker of a
/// ``BlockDevice``, or a program that has both sides of the queue in one thread.
///
/// What the driver wrote is copied before it is looked at, and checked; a bad request ends with a
/// status. Only what leaves no way to answer stops the queue.
///
/// **Threading.** Belongs to the thread that made it. **Cost.** Nothing is allocated after `init`.
public struct BlockQueue: ~Copyable {
    /// What a queue needs to know of its device.
    public struct Configuration: Sendable {
        /// Requests under way at once, 1 to 32760; the others wait in the virtqueue.
        public var requestCountMax = 256
        /// Parts of a request's payload.
        public var segmentCountMax = 254
        /// Ranges of a discard or write-zeroes request.
        public var rangeCountMax = 32
        /// Sectors of each of them.
        public var rangeSectorCountMax: UInt32 = 1 << 22
        /// Whether to register the memory as fixed buffers: it is pinned then.
        public var registersMemory = true
        /// As of ``BlockEngine/Configuration``.
        public var transfersAtOnce = false
        /// What the device calls itself, at most 20 bytes of ASCII.
        public var identifier = "bounce"

        public init() {}
    }

    var queue: DeviceQueue
    var engine: BlockEngine
    let decoder: BlockRequestDecoder
    let configuration: Configuration
    let cache: BlockCacheMode
    /// Noted when the payload was written; `nil` where nothing is logged.
    let dirtyLog: DirtyLog?

    var rows: RigidArray<BlockQueueRow>
    var freeRows: RigidArray<Int>
    /// The ranges of discards and write-zeroes under way: as many for each row as a request may have.
    var ranges: RigidArray<BlockSegment>
    let identifier: HostMemory
    /// What `HostMemory.lossCount` was when the memory was looked at last.
    private var lossCount: UInt32 = 0

    /// Counts of what the queue has done.
    public internal(set) var statistics = BlockQueueStatistics()

    /// - Parameters:
    ///   - storage: what requests are served from.
    ///   - setup: the virtqueue; how its kicks and calls are waited for and made is not this type's.
    ///   - cache: whether completed writes may be volatile.
    /// - Throws: where the virtqueue cannot be used, or the system refuses something.
    public init(
        storage: BlockStorage, setup: QueueSetup, cache: BlockCacheMode = BlockCacheMode(),
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "BlockBackend")
    ) throws(QueueStartFailure) {
        let rowCount = min(configuration.requestCountMax, setup.configuration.size)
        var engineConfiguration = BlockEngine.Configuration()
        engineConfiguration.requestCountMax = rowCount
        engineConfiguration.segmentCountMax = configuration.segmentCountMax
        engineConfiguration.registersMemory = configuration.registersMemory
        engineConfiguration.transfersAtOnce = configuration.transfersAtOnce
        let engine = try Self.system { () throws(SystemCallError) in
            try BlockEngine(
                storage: storage, memoryMap: setup.memoryMap, configuration: engineConfiguration,
                logger: logger)
        }
        let decoder = try Self.system { () throws(SystemCallError) in
            try BlockRequestDecoder(
                memoryMap: setup.memoryMap, segmentCountMax: configuration.rangeCountMax)
        }
        let identifier = try Self.system { () throws(SystemCallError) in
            try HostMemory.anonymous(byteCount: blockIdentifierByteCount)
        }
        let queue = try Self.queue(setup)
        var rows = RigidArray<BlockQueueRow>(capacity: rowCount)
        var freeRows = RigidArray<Int>(capacity: rowCount)
        let rangeCount = rowCount * configuration.rangeCountMax
        var ranges = RigidArray<BlockSegment>(capacity: rangeCount)
        for row in (0..<rowCount).reversed() {
            // Besides the payload a part each for header and status.
            rows.append(
                BlockQueueRow(chain: DescriptorChain(capacity: configuration.segmentCountMax + 2)))
            freeRows.append(row)
        }
        for _ in 0..<rangeCount {
            ranges.append(BlockSegment(sector: 0, sectorCount: 0, flags: 0))
        }
        identifier.store(
            Array(configuration.identifier.utf8.prefix(blockIdentifierByteCount)).span, at: 0)
        self.queue = queue
        self.engine = engine
        self.decoder = decoder
        self.configuration = configuration
        self.cache = cache
        dirtyLog = setup.dirtyLog
        self.rows = rows
        self.freeRows = freeRows
        self.ranges = ranges
        self.identifier = identifier
    }

    /// Whether no request is under way.
    public var isIdle: Bool { engine.isIdle }

    /// Whether every row is taken: requests wait in the virtqueue.
    var isFull: Bool { freeRows.isEmpty }

    /// Whether to look for requests before the first kick.
    var isResumed: Bool { queue.isResumed }

    /// Whether there is a request to take.
    var hasNext: Bool { queue.hasNext }

    /// Whether the driver has not been shown yet all that was given back.
    var hasUnpublished: Bool { queue.hasUnpublished }

    /// Asks the driver to kick, and looks once more whether there is a request.
    mutating func enableKicks() -> Bool { queue.enableKicks() }

    /// Asks the driver not to kick.
    mutating func disableKicks() { queue.disableKicks() }

    /// The first error of its kind, once.
    mutating func takeNewErrno() -> Errno? { statistics.newErrno.take() }

    /// Where the virtqueue is.
    public var position: QueuePosition { queue.position }

    /// Whether payloads are transferred as fixed buffers.
    public var usesFixedBuffers: Bool { engine.usesFixedBuffers }

    /// Takes requests that the driver has made available, and hands them to the kernel.
    ///
    /// - Parameter count: how many at most; others stay in the virtqueue.
    /// - Returns: how many were taken.
    /// - Throws: where the driver broke the queue's rules. Requests under way still end: go on to
    ///   ``reap()`` until ``isIdle``.
    public mutating func fetch(atMost count: Int = .max) throws(QueueFault) -> Int {
        var taken = 0
        while taken < count, !freeRows.isEmpty {
            let row = freeRows[freeRows.count - 1]
            do throws(QueueFault) {
                guard try queue.next(&rows[row].chain) else { break }
                freeRows.removeLast()
                taken += 1
                try begin(row)
            } catch {
                // A request without a status has no answer: its buffer stays with the device.
                statistics.faultCount += 1
                throw error
            }
        }
        // Also where none was there to take: a lost ring is an empty one.
        try checkMemory()
        return taken
    }

    /// Stops the queue where memory is gone: what is written there goes nowhere, but takes up memory of
    /// this process.
    private mutating func checkMemory() throws(QueueFault) {
        let count = HostMemory.lossCount
        guard count != lossCount else { return }
        lossCount = count
        guard decoder.memoryMap.isLost else { return }
        statistics.faultCount += 1
        throw .lostMemory
    }

    /// Hands what was taken to the kernel and collects what has ended, in one system call.
    ///
    /// - Parameter minimumCompletionCount: how many ends to wait for; 0 not to wait.
    /// - Throws: `SystemCallError` of `io_uring_enter`; nothing that was taken is lost.
    public mutating func submitAndWait(
        minimumCompletionCount: Int = 1
    ) throws(SystemCallError) {
        try engine.submitAndWait(minimumCompletionCount: minimumCompletionCount)
    }

    /// Hands what was taken to the kernel without collecting what has ended.
    ///
    /// - Throws: as ``submitAndWait(minimumCompletionCount:)``.
    public mutating func submit() throws(SystemCallError) {
        try engine.submit()
    }

    /// Gives back requests that have ended.
    ///
    /// - Parameter count: how many at most.
    /// - Returns: how many have.
    public mutating func reap(atMost count: Int = .max) -> Int {
        var ended = 0
        while ended < count, let completion = engine.nextCompletion() {
            let row = Int(completion.tag)
            if let errno = completion.errno { statistics.note(errno) }
            if goesOn(row, after: completion) { continue }
            finish(row, completion.status, payloadByteCount: completion.writtenByteCount)
            ended += 1
        }
        return ended
    }

    /// Shows the driver what was given back.
    ///
    /// - Returns: whether it is to be called.
    public mutating func publish() -> Bool {
        queue.publish()
    }
}

extension BlockQueue {
    private static func queue(_ setup: QueueSetup) throws(QueueStartFailure) -> DeviceQueue {
        do throws(QueueFault) {
            return try DeviceQueue(
                setup.configuration, memoryMap: setup.memoryMap, position: setup.position,
                inflight: setup.inflight, dirtyLog: setup.dirtyLog,
                usedRingLogAddress: setup.usedRingLogAddress)
        } catch {
            throw .fault(error)
        }
    }

    private static func system<Value: ~Copyable>(
        _ make: () throws(SystemCallError) -> Value
    ) throws(QueueStartFailure) -> Value {
        do throws(SystemCallError) {
            return try make()
        } catch {
            throw .system(error)
        }
    }
}
