public import SharedMemory
public import SystemPackage

/// Events that wake a ring's thread, besides the ends of its operations: a read of each waits in the ring.
///
/// **Threading.** That of the ring. **Cost.** A wake prepares the next read; nothing is allocated after
/// `init`.
public struct EventWatches {
    private var descriptors: [FileDescriptor?]
    /// A bit for each event: whether a read is under way, and whether the thread was woken.
    private var armed: UInt64 = 0
    @usableFromInline var woken: UInt64 = 0
    /// Where the kernel puts what it reads, in which nobody is interested.
    private let memory: HostMemory
    private let byteCountMax: Int
    private let tag: UInt64
    private let cancellationTag: UInt64

    /// - Parameters:
    ///   - count: how many events there are, by numbers from 0 on: 64 at most. The ring needs two free entries for
    ///     each.
    ///   - byteCountMax: how much is read of one at most.
    ///   - tag: of the read of the first event; those of the others follow it.
    ///   - cancellationTag: of the cancellation of the first, likewise.
    public init(
        count: Int, byteCountMax: Int = EventDescriptor.byteCount, tag: UInt64,
        cancellationTag: UInt64
    ) throws(SystemCallError) {
        precondition(count <= 64, "there is a bit for each event")
        memory = try .anonymous(byteCount: count * byteCountMax)
        descriptors = Array(repeating: nil, count: count)
        self.byteCountMax = byteCountMax
        self.tag = tag
        self.cancellationTag = cancellationTag
    }

    /// Wakes the thread when an event comes, until ``end(_:in:)``.
    ///
    /// - Parameter descriptor: what can be read then; open until ``isWatching(_:)`` is false.
    public mutating func begin(_ index: Int, _ descriptor: FileDescriptor, in ring: inout Ring) {
        descriptors[index] = descriptor
        // Of what was watched before.
        woken &= ~(1 << UInt64(index))
        arm(index, in: &ring)
    }

    /// Takes in the end of a read.
    public mutating func note(_ index: Int, _ completion: RingCompletion) {
        armed &= ~(1 << UInt64(index))
        if completion.result != -Errno.canceled.rawValue { woken |= 1 << UInt64(index) }
    }

    /// Whether the thread was woken for an event since this was asked last; then it watches for it again.
    @inlinable @inline(__always)
    public mutating func take(_ index: Int, in ring: inout Ring) -> Bool {
        guard woken & 1 << UInt64(index) != 0 else { return false }
        woken &= ~(1 << UInt64(index))
        arm(index, in: &ring)
        return true
    }

    /// Begins to stop watching, as soon as the ring is entered. ``isWatching(_:)`` says when that is over,
    /// and nothing is taken any more from whoever waits for the event next. What came before can still be
    /// asked for.
    public mutating func end(_ index: Int, in ring: inout Ring) {
        descriptors[index] = nil
        guard isWatching(index) else { return }
        let isPrepared = ring.prepareCancel(
            tag: tag + UInt64(index), ownTag: cancellationTag + UInt64(index))
        precondition(isPrepared, "the ring has an entry for it")
    }

    public func isWatching(_ index: Int) -> Bool { armed & 1 << UInt64(index) != 0 }

    @usableFromInline
    mutating func arm(_ index: Int, in ring: inout Ring) {
        guard let descriptor = descriptors[index] else { return }
        let isPrepared = ring.prepareRead(
            of: descriptor,
            into: memory.hostRange(offset: index * byteCountMax, byteCount: byteCountMax),
            tag: tag + UInt64(index))
        precondition(isPrepared, "the ring has an entry for it")
        armed |= 1 << UInt64(index)
    }
}
