public import BasicContainers
public import SharedMemory

/// A buffer that a driver has made available: parts that the device reads, then parts that it
/// writes, as addresses that nobody has checked against a memory map yet.
///
/// A chain is made once and filled again and again: ``DeviceQueue/next(_:)``.
public struct DescriptorChain: ~Copyable {
    /// By what the buffer is given back.
    public internal(set) var token = ChainToken()
    /// How many of the parts, which come first, the device reads.
    public internal(set) var readableCount = 0
    /// The length of all parts that the device reads, in bytes.
    public internal(set) var readableByteCount = 0
    /// The length of all parts that the device may write, in bytes.
    public internal(set) var writableByteCount = 0
    /// Whether the buffer has more parts than the chain has room for. The last part kept is then
    /// the buffer's last that is not empty.
    public internal(set) var isCutShort = false
    /// Whether a part to write has come, kept or not.
    private var hasWritable = false

    /// All parts, in order.
    public internal(set) var parts: RigidArray<GuestRange>

    /// - Parameter capacity: how many parts a buffer has at most, more than zero.
    public init(capacity: Int) {
        precondition(capacity > 0, "a chain has room for a part")
        parts = RigidArray(capacity: capacity)
    }

    /// How many parts there are, readable and writable.
    public var count: Int { parts.count }
    public var writableCount: Int { parts.count - readableCount }

    /// A part, readable ones first.
    public subscript(index: Int) -> GuestRange {
        @inline(__always) get { parts[index] }
        @inline(__always) set { parts[index] = newValue }
    }

    @inline(__always)
    mutating func removeAll() {
        parts.removeAll()
        readableCount = 0
        readableByteCount = 0
        writableByteCount = 0
        isCutShort = false
        hasWritable = false
    }

    /// Makes the chain one of a single part.
    @inline(__always)
    mutating func set(_ range: GuestRange, isWritable: Bool) {
        parts.removeAll()
        parts.append(range)
        readableCount = isWritable ? 0 : 1
        readableByteCount = isWritable ? 0 : range.byteCount
        writableByteCount = isWritable ? range.byteCount : 0
        isCutShort = false
        hasWritable = isWritable
    }

    /// Adds a part.
    ///
    /// - Throws: where a part to read comes behind one to write.
    @inline(__always)
    mutating func append(_ range: GuestRange, isWritable: Bool) throws(QueueFault) {
        if isWritable {
            hasWritable = true
            writableByteCount &+= range.byteCount
        } else {
            guard !hasWritable else { throw .readableAfterWritable }
            readableByteCount &+= range.byteCount
        }
        if parts.isFull { return replaceLast(by: range) }
        parts.append(range)
        if !isWritable { readableCount &+= 1 }
    }

    /// Keeps the last part of a buffer that has too many.
    private mutating func replaceLast(by range: GuestRange) {
        isCutShort = true
        // A status is in the last byte, and an empty part has none.
        guard range.byteCount > 0 else { return }
        parts[parts.count - 1] = range
        if hasWritable { readableCount = min(readableCount, parts.count - 1) }
    }
}

/// What a device gives back to say which buffer it has used.
public struct ChainToken: Hashable, Sendable {
    /// The head descriptor's index in a split queue, the buffer's id in a packed one.
    public var id: UInt16 = 0
    /// How many descriptors of the ring the buffer takes.
    var descriptorCount: UInt16 = 1
    /// The row of the in-flight region that notes it.
    var inflightRow: UInt16 = 0
    /// How many bytes the device may write into it.
    var writableByteCount = 0

    public init() {}
}
