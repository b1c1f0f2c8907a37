import BlockBackend
import SharedMemory
import SystemPackage
import Virtqueue

/// What a closed loop drives: a mapper, and whatever serves requests behind it.
///
/// One type for each way to the storage (``BlockVia``), generic over the mapper. Between `direct` and
/// `bounce` differ the mapper's answers and the memory that the backend sees, nothing else.
protocol BlockTarget: ~Copyable {
    /// Bytes that bouncing has copied.
    var copiedByteCount: Int { get }
    /// CPU time of everything that serves requests, this process included.
    var cpuTime: CPUTime { get }
    /// Whether no request is under way.
    var isIdle: Bool { get }

    /// Makes requests possible; whatever was under way before is over.
    mutating func connect() throws
    /// Gives up what ``connect()`` has made; nothing is under way.
    mutating func disconnect()

    /// Maps a request's buffer and enqueues the request.
    ///
    /// - Parameter row: comes back with the completion; not in use.
    /// - Returns: false where the pool is full: nothing was done then.
    mutating func start(_ request: RequestSource.Request, row: Int) throws -> Bool
    /// Hands over what was started.
    mutating func submit() throws
    /// Hands over what was started and waits until a request has ended.
    mutating func submitAndWait() throws
    /// Takes a request that has ended; its buffer was unmapped.
    mutating func nextCompletion() throws -> TargetCompletion?
}

/// The end of a request.
struct TargetCompletion {
    let row: Int
    let status: BlockStatus
    /// What the storage said, where that is known.
    let errno: Errno?
}
