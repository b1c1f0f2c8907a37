public import SharedMemory

/// A queue's part of the memory in which a device notes what is under way, so that its successor can
/// finish it after a crash (vhost-user, *Inflight I/O tracking*).
///
/// The memory belongs to the frontend while no device is connected, so nothing in it is trusted.
public struct InflightRegion: Sendable {
    let memory: HostMemory
    let offset: Int
    /// How many descriptors it has room for.
    public let queueSize: Int
    /// Whether it is laid out for a packed queue.
    public let isPacked: Bool

    /// - Parameters:
    ///   - memory: where it is, shared with the frontend.
    ///   - offset: where in it this queue's part begins: a multiple of ``alignment``.
    ///   - queueSize: how many descriptors the queue may have. A driver may use fewer, and another
    ///     one, which follows it, more.
    ///   - isPacked: whether the queue is packed.
    /// - Returns: `nil` where the part does not lie inside `memory`, or is not aligned.
    public init?(memory: HostMemory, offset: Int, queueSize: Int, isPacked: Bool) {
        guard QueueConfiguration.isValid(size: queueSize), offset >= 0,
            offset % Self.alignment == 0, offset <= memory.byteCount,
            Self.byteCount(queueSize: queueSize, isPacked: isPacked) <= memory.byteCount - offset
        else { return nil }
        self.memory = memory
        self.offset = offset
        self.queueSize = queueSize
        self.isPacked = isPacked
    }

    /// What a queue's part begins at a multiple of, in bytes.
    public static let alignment = 64

    /// How long a queue's part is, in bytes: a multiple of ``alignment``.
    public static func byteCount(queueSize: Int, isPacked: Bool) -> Int {
        let byteCount = formatByteCount(queueSize: queueSize, isPacked: isPacked)
        return (byteCount + alignment - 1) / alignment * alignment
    }

    /// A header of 16 bytes and 16 for each descriptor, or of 32 and 32.
    private static func formatByteCount(queueSize: Int, isPacked: Bool) -> Int {
        (isPacked ? 32 : 16) * (queueSize + 1)
    }

    /// A byte of the device's own, which its successor finds: 0 in memory that no device has used.
    ///
    /// It stands behind what the specification lays out, among the bytes that are there for alignment
    /// alone: backends that know nothing of it leave it as it is. Where there are none, in packed queues
    /// of one descriptor, it is 0 and stays so.
    public var note: UInt8 {
        get { notePosition.map { load(at: $0) } ?? 0 }
        nonmutating set {
            if let notePosition { store(newValue, at: notePosition) }
        }
    }

    private var notePosition: Int? {
        let end = Self.byteCount(queueSize: queueSize, isPacked: isPacked)
        return Self.formatByteCount(queueSize: queueSize, isPacked: isPacked) < end ? end - 1 : nil
    }
}
