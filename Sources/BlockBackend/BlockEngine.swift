import Glibc
public import Logging
public import SharedMemory
import SystemPackage
import Uring
import Virtqueue

/// Serves block requests: moves payloads between a memory map and a storage, over io_uring.
///
/// ```
/// enqueue ─▶ check ─▶ gate ─▶ ring ─▶ kernel
///              │        │               │
///              │     at once            │
///              ▼        ▼               ▼
///              └─▶ settled ─▶ nextCompletion
/// ```
///
/// Requests are enqueued with a tag, handed over together by
/// ``submitAndWait(minimumCompletionCount:)``, and taken back in any order from
/// ``nextCompletion()``. Every enqueued request completes exactly once, whatever is wrong with it:
/// a refused one with a status instead of a trap.
///
/// A request whose payload lies in registered memory is a fixed-buffer operation, one whose payload
/// is a single range (or ranges that touch) a plain one, any other a vectored one. A transfer at once
/// (``Configuration/transfersAtOnce``) is none: it is over when `enqueue` returns.
///
/// **Trust.** Operation, position and ranges may come from a hostile driver; none is used
/// unchecked.
///
/// **Threading.** An engine belongs to the thread that made it; destroying it waits for the
/// requests under way, and forgets those that have not begun. Engines of several threads may share a
/// storage. Where some of their requests are misaligned for direct I/O (``BlockAlignment``) they wait
/// for each other, and wake each other in ``submitAndWait(minimumCompletionCount:)``: so whoever has
/// requests under way goes on to take completions, of one engine at a time if a thread has several.
///
/// **Cost.** Nothing is allocated after initialisation.
public struct BlockEngine: ~Copyable {
    public struct Configuration: Sendable {
        /// Requests under way at once, 1 to 32760.
        public var requestCountMax = 128
        /// Ranges of one request's payload, after splitting at region borders; at most 1024.
        public var segmentCountMax = 128
        /// Whether to register the memory map's regions as fixed buffers.
        public var registersMemory = true
        /// Whether `enqueue` transfers at once where the storage is in memory
        /// (``BlockStorage/isInMemory``). Through the ring the kernel wakes threads of its own for such
        /// requests: several times the time of each, but beside this thread. So: where this thread has
        /// nothing else to do.
        public var transfersAtOnce = false

        public init() {}
    }

    public let storage: BlockStorage
    public let memoryMap: MemoryMap
    /// The flags of `io_uring_setup(2)` that the kernel granted, by their C names.
    public let ringFlagNames: [String]

    var ring: Ring
    let registration: BufferRegistration
    let transfersAtOnce: Bool
    let supportsVectoredFixedBuffers: Bool
    let vectors: IOVectors
    /// What zeroes are written from, where the storage cannot make them.
    let zeroes: HostMemory
    var table: TransferTable
    var gate: GateQueue
    /// Where the kernel puts the count of the gate's event, in which nobody is interested.
    let eventCount: HostMemory
    /// Whether a read of the gate's event is under way.
    var isReadingGateEvent = false
    /// Requests that have ended without the ring: refused ones, transfers of nothing or at once.
    var settled = TransferQueue()
    var wakes: EventWatches

    private static let zeroesByteCount = 1 << 20
    /// Entries of the ring for operations that are not requests.
    private static let reservedEntryCount = 8
    static let primaryFile = FixedFile(index: 0)
    static let bufferedFile = FixedFile(index: 1)

    /// - Parameters:
    ///   - storage: what requests are served from; may be shared by engines.
    ///   - memoryMap: all the memory that requests may touch.
    ///   - logger: where a fall-back is noted.
    /// - Throws: `SystemCallError`: of `io_uring_setup` where the system gives no ring, of
    ///   `io_uring_register` or `mmap`. Memory that cannot be registered is not an error: see
    ///   ``registrationRefusal``.
    public init(
        storage: BlockStorage, memoryMap: MemoryMap, configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "BlockBackend")
    ) throws(SystemCallError) {
        let zeroes = try HostMemory.anonymous(byteCount: Self.zeroesByteCount)
        let wakes = try EventWatches(
            count: EngineWake.allCases.count, tag: RingTag(.wake).rawValue,
            cancellationTag: RingTag(.cancellation).rawValue)
        let eventCount = try HostMemory.anonymous(byteCount: EventDescriptor.byteCount)
        let gate = try GateQueue(storage.gate)
        var ring = try Ring(entryCount: configuration.requestCountMax + Self.reservedEntryCount)
        try ring.registerFiles(
            [storage.descriptor] + (storage.bufferedDescriptor.map { [$0] } ?? []))
        let registration =
            configuration.registersMemory
            ? BufferRegistration(registering: memoryMap, with: &ring) : BufferRegistration()
        if let refusal = registration.refusal {
            logger.notice(
                "memory could not be registered (\(refusal)); going on without fixed buffers")
        }
        self.storage = storage
        self.memoryMap = memoryMap
        self.registration = registration
        transfersAtOnce = configuration.transfersAtOnce && storage.isInMemory
        self.zeroes = zeroes
        self.eventCount = eventCount
        self.gate = gate
        ringFlagNames = ring.flags.names
        supportsVectoredFixedBuffers =
            registration.isRegistered && ring.supportsVectoredFixedBuffers
        vectors = IOVectors(
            rowCount: configuration.requestCountMax, rowCapacity: configuration.segmentCountMax)
        table = TransferTable(capacity: configuration.requestCountMax)
        self.wakes = wakes
        self.ring = ring
    }

    deinit {
        drain()
    }

    /// Waits for the requests under way, and forgets those that have not begun.
    func drain() {
        // Before the ring waits, which a read of the gate's event would keep it doing.
        withdrawFromGate()
        // Before the memory map lets go of what the kernel may still be writing to, and before the
        // gate lets others pass.
        ring.drain()
    }

    /// Whether payloads are transferred as fixed buffers.
    public var usesFixedBuffers: Bool { registration.isRegistered }

    /// Why registering the memory was refused, where it was; the engine then works without.
    public var registrationRefusal: SystemCallError? { registration.refusal }

    /// Whether ``enqueue(_:sector:payload:tag:)`` would return false.
    public var isFull: Bool { table.isFull }

    /// Whether no request is under way.
    public var isIdle: Bool { table.isEmpty }

    /// Whether the kernel has not been handed yet all that was enqueued.
    var hasUnsubmitted: Bool { ring.preparedCount > 0 || isWaitingAtGate }

    /// Hands enqueued requests to the kernel and waits, in one system call.
    ///
    /// - Parameter minimumCompletionCount: how many operations of the ring to wait for; 0 not to
    ///   wait. Returns early for a signal, at once where a request has ended already, and after one
    ///   operation, or none, while requests wait for those of other engines.
    /// - Throws: `SystemCallError` of `io_uring_enter`; nothing that was enqueued is lost.
    public mutating func submitAndWait(
        minimumCompletionCount: Int = 1
    ) throws(SystemCallError) {
        prepareGateEvent()
        // One by one while requests wait at the gate: what ends lets them pass, here or elsewhere.
        let available = isWaitingAtGate ? 1 : requestOperationCount
        let count = settled.isEmpty ? min(minimumCompletionCount, available) : 0
        try ring.submitAndWait(minimumCompletionCount: count)
    }

    /// Hands enqueued requests to the kernel without waiting, so that the storage has them while
    /// this thread does something else, such as copying payloads.
    ///
    /// - Throws: as ``submitAndWait(minimumCompletionCount:)``.
    public mutating func submit() throws(SystemCallError) {
        prepareGateEvent()
        try ring.submit()
    }

    /// Takes one request that has ended, or `nil` where none has: then
    /// ``submitAndWait(minimumCompletionCount:)``. No system call.
    public mutating func nextCompletion() -> BlockCompletion? {
        if let row = settled.removeFirst(of: &table) {
            return finish(
                row, status: table[row].settledStatus ?? .ioError, errno: table[row].settledErrno)
        }
        while let completion = ring.nextCompletion() {
            let tag = RingTag(rawValue: completion.tag)
            guard tag.purpose == .request else {
                noteOther(tag, completion)
                continue
            }
            let row = tag.index
            switch table[row].advance(completion.result, vectors: vectors) {
            case .goOn: prepare(row)
            case .done(let status, let errno):
                leaveGate(row)
                return finish(row, status: status, errno: errno)
            }
        }
        return nil
    }
}

extension BlockEngine {
    /// Takes a request out of the gate, and lets those pass that waited for it to end.
    private mutating func leaveGate(_ row: Int) {
        guard table[row].passesGate else { return }
        gate.leave(table[row])
        prepareAdmitted()
    }

    private mutating func finish(
        _ row: Int, status: BlockStatus, errno: Errno?
    ) -> BlockCompletion {
        let completion = BlockCompletion(
            tag: table[row].tag, status: status, writtenByteCount: table[row].writtenByteCount,
            errno: errno)
        table.freeRow(row)
        return completion
    }
}
