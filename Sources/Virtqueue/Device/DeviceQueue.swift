import BasicContainers
public import SharedMemory

/// The device's side of a virtqueue: takes buffers that the driver has made available, and gives
/// them back used (virtio 1.2, 2.6 to 2.8).
///
/// Split and packed queues behave alike; with in-order use (``VirtioFeatures/inOrder``) buffers must
/// be given back in the order in which they were taken.
///
/// The driver may write anything into the rings at any time. Each word of it is loaded once, into
/// private memory, and checked there; how long a chain may be is bounded by the queue's size.
///
/// **Threading.** One thread. **Cost.** Nothing is allocated after `init`.
public struct DeviceQueue: ~Copyable {
    /// The number of descriptors.
    public let size: Int
    /// How many buffers have been taken and not given back.
    public internal(set) var inflightCount = 0
    /// How many descriptors of a packed ring they take.
    var inflightDescriptorCount = 0
    /// How many buffers, and descriptors, were given back since the last ``publish()``. The driver
    /// cannot know of them, so they still take room in the ring.
    var usedCount = 0
    var usedDescriptorCount = 0

    let isPacked: Bool
    let usesEventIndex: Bool
    let isInOrder: Bool
    let takesIndirect: Bool

    let descriptors: RingArea
    let driver: RingArea
    let device: RingArea
    let memoryMap: MemoryMap

    // Split: free-running indices. `seen` is the available index as it was loaded last.
    var available: UInt16
    var seen: UInt16
    var used: UInt16
    // Packed.
    var packedAvailable: PackedPosition
    var packedUsed: PackedPosition

    /// How far ``used`` or ``packedUsed`` has gone since the last ``publish()``: in buffers of a
    /// split queue, in descriptors of a packed one.
    var unpublished = 0
    /// The first used descriptor that was not published yet, in a packed queue: where, and what is
    /// to be stored there.
    var held: (offset: Int, word: UInt64)?
    /// With in-order use, buffers that the device has filled and that need no entry of their own
    /// unless they are the last: how many, and the last one.
    var skippedCount = 0
    var skippedDescriptorCount = 0
    var lastSkipped = ChainToken()

    /// Where indirect tables are put together that are in pieces; `nil` where none can come.
    let scratch: HostRange?
    /// What ``scratch`` is of.
    private let scratchMemory: HostMemory?
    var splitInflight: SplitInflight?
    var packedInflight: PackedInflight?
    /// Whether there is one of them.
    let hasInflight: Bool
    /// Buffers that a former device left and that were not taken again yet.
    var leftCount = 0
    /// Whether a former device has used the queue with the same in-flight region. Its driver's kicks
    /// may have been lost meanwhile, so look for buffers without one.
    public let isResumed: Bool
    var log: RingLog?

    /// - Parameters:
    ///   - configuration: where the rings are, and what was negotiated.
    ///   - memoryMap: the memory that rings and indirect tables may be in.
    ///   - position: where to begin. The used index of a split queue is taken from the used ring.
    ///   - inflight: where to note what is under way. What a former device has noted there comes
    ///     first from ``next(_:)``, in the order in which it was taken.
    ///   - dirtyLog: where to note which pages of the rings were written.
    ///   - usedRingLogAddress: the address of the device area for `dirtyLog`; `nil` where writes to
    ///     the rings are not to be noted.
    /// - Throws: where the rings, or what is noted of requests under way, cannot be used.
    public init(
        _ configuration: QueueConfiguration, memoryMap: MemoryMap, position: QueuePosition,
        inflight: InflightRegion? = nil, dirtyLog: DirtyLog? = nil,
        usedRingLogAddress: GuestAddress? = nil
    ) throws(QueueFault) {
        let areas = try RingAreas(configuration, in: memoryMap)
        let takesIndirect = configuration.features.contains(.indirectDescriptors)
        let table: HostMemory?
        do throws(SystemCallError) {
            table =
                takesIndirect
                ? try .anonymous(
                    byteCount: Descriptor.byteCount * Self.tableLengthMax(size: configuration.size))
                : nil
        } catch {
            throw .outOfMemory
        }
        let isPacked = configuration.isPacked
        let used = isPacked ? 0 : areas.device.load(UInt16.self, at: SplitRing.index)
        var start = (
            available: PackedPosition(rawValue: position.available),
            used: PackedPosition(rawValue: position.used)
        )
        var available = position.available
        var left = 0
        let isResumed =
            try inflight?.isUsed(bySize: configuration.size, isPacked: isPacked) ?? false
        var splitInflight: SplitInflight?
        var packedInflight: PackedInflight?
        guard !isPacked || start.available.index < configuration.size,
            !isPacked || start.used.index < configuration.size
        else { throw .positionOutOfRange }
        if let inflight, isPacked {
            let tracker = try PackedInflight(
                inflight, size: configuration.size, ring: areas.descriptors, position: position)
            start = tracker.start
            left = tracker.leftCount
            packedInflight = consume tracker
        } else if let inflight {
            let tracker = try SplitInflight(inflight, size: configuration.size, usedIndex: used)
            left = tracker.leftCount
            // What follows the used index was left under way, or is still to be taken.
            available = used &+ UInt16(left)
            splitInflight = consume tracker
        }
        size = configuration.size
        self.isPacked = isPacked
        usesEventIndex = configuration.features.contains(.eventIndex)
        isInOrder = configuration.features.contains(.inOrder)
        self.takesIndirect = takesIndirect
        descriptors = areas.descriptors
        driver = areas.driver
        device = areas.device
        self.memoryMap = memoryMap
        self.available = available
        seen = available
        self.used = used
        packedAvailable = start.available
        packedUsed = start.used
        scratch = table?.hostRange
        scratchMemory = table
        self.splitInflight = splitInflight
        self.packedInflight = packedInflight
        hasInflight = inflight != nil
        leftCount = left
        self.isResumed = isResumed
        if let dirtyLog, let usedRingLogAddress {
            log = RingLog(
                log: dirtyLog, ring: isPacked ? configuration.descriptorArea : usedRingLogAddress,
                events: usedRingLogAddress)
        }
        if isPacked, left > 0 { hideUnpublished() }
    }

    /// Where the queue is. It holds for a successor once everything taken was given back and
    /// published.
    public var position: QueuePosition {
        isPacked
            ? QueuePosition(
                available: packedAvailable.rawValue, used: packedUsed.rawValue)
            : QueuePosition(available: available, used: used)
    }

    /// Takes the next available buffer, if there is one.
    ///
    /// - Parameter chain: what it is made of; undefined where nothing was taken.
    /// - Returns: false where there is none.
    /// - Throws: where the driver broke the queue's rules. Nothing was taken; the queue must be
    ///   stopped.
    public mutating func next(_ chain: inout DescriptorChain) throws(QueueFault) -> Bool {
        let isTaken =
            if leftCount > 0 {
                try nextLeft(&chain)
            } else if isPacked {
                try nextPacked(&chain)
            } else {
                try nextSplit(&chain)
            }
        if isTaken {
            inflightCount &+= 1
            inflightDescriptorCount &+= Int(chain.token.descriptorCount)
            chain.token.writableByteCount = chain.writableByteCount
        }
        return isTaken
    }

    /// Gives a buffer back. The driver sees it after ``publish()``.
    ///
    /// - Parameters:
    ///   - token: that of its chain.
    ///   - writtenByteCount: how many bytes were truly written into its writable parts, from their
    ///     start: at most as many as they have.
    /// - Precondition: a buffer is given back once; with in-order use, in order.
    public mutating func use(_ token: ChainToken, writtenByteCount: Int) {
        precondition(inflightCount > 0, "a buffer is given back once")
        inflightCount &-= 1
        inflightDescriptorCount &-= Int(token.descriptorCount)
        usedCount &+= 1
        usedDescriptorCount &+= Int(token.descriptorCount)
        if hasInflight {
            splitInflight?.use(token.id)
            packedInflight?.use(token.inflightRow)
        }
        guard isInOrder else {
            return put(
                token, writtenByteCount: writtenByteCount, buffers: 1,
                descriptors: Int(token.descriptorCount))
        }
        skippedCount &+= 1
        skippedDescriptorCount &+= Int(token.descriptorCount)
        // To the driver a buffer without an entry was filled (2.7.9, 2.8.8).
        if writtenByteCount == token.writableByteCount {
            lastSkipped = token
        } else {
            putSkipped(token, writtenByteCount: writtenByteCount)
        }
    }

    /// Whether ``publish()`` has something to show.
    public var hasUnpublished: Bool { usedCount > 0 }

    /// Shows the driver what was given back since the last time.
    ///
    /// - Returns: whether the driver wants to be called for it.
    public mutating func publish() -> Bool {
        if skippedCount > 0 {
            putSkipped(lastSkipped, writtenByteCount: lastSkipped.writableByteCount)
        }
        guard unpublished > 0 else { return false }
        let count = unpublished
        unpublished = 0
        usedCount = 0
        usedDescriptorCount = 0
        if isPacked {
            packedInflight?.willPublish(used: packedUsed)
            publishPacked()
            packedInflight?.didPublish(used: packedUsed)
        } else {
            device.storeReleasing(used, at: SplitRing.index)
            log?.markRing(offset: SplitRing.index, byteCount: 2)
            splitInflight?.didPublish(usedIndex: used)
        }
        return isPacked
            ? driver.wantsNotification(
                upTo: packedUsed, count: count, size: size, usesEventIndex: usesEventIndex)
            : driver.wantsNotification(
                upTo: used, count: count,
                eventOffset: usesEventIndex ? SplitRing.usedEvent(size: size) : nil)
    }

    /// Writes a used entry, which stands for this buffer and those skipped before it.
    private mutating func putSkipped(_ token: ChainToken, writtenByteCount: Int) {
        put(
            token, writtenByteCount: writtenByteCount, buffers: skippedCount,
            descriptors: skippedDescriptorCount)
        skippedCount = 0
        skippedDescriptorCount = 0
    }

    /// Writes a used entry, which stands for so many buffers of so many descriptors, this one the last.
    @inline(__always)
    private mutating func put(
        _ token: ChainToken, writtenByteCount: Int, buffers: Int, descriptors: Int
    ) {
        // Less than what was written may be said, and more not.
        let length = UInt32(clamping: writtenByteCount)
        if isPacked {
            putPacked(token.id, length, descriptors: descriptors)
        } else {
            putSplit(token.id, length, buffers: buffers)
        }
    }
}
