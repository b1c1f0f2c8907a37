public import SharedMemory
public import SwiotlbPool

/// Places in the window for short frames, one for each that may be with the device: they are mapped once and for
/// good, and a frame is copied into one of them.
///
/// A mapping of a bounced frame copies it, too; this spares what else there is to making and ending one. Where
/// a mapper copies nothing there is nothing to spare.
///
/// Methods are mutating where they change nothing: of a type that cannot be copied, a call that only reads
/// would move all of it to the stack first.
///
/// **Threading.** One thread.
public struct TransmitSlots: ~Copyable {
    @usableFromInline let memory: CoherentAllocation
    @usableFromInline let privateMemory: MemoryMap
    @usableFromInline let base: HostRange
    @usableFromInline let deviceBase: GuestAddress
    /// How many frames there is room for.
    public let count: Int

    /// How long a frame may be with its header: a full one of Ethernet, with tags.
    ///
    /// A multiple of a cache line, and of no great power of two: slots of as many frames as are under way at
    /// once lie in different sets of the first-level cache.
    public static let slotByteCount = 1600

    /// How many bytes the slots of a queue take.
    public static func byteCount(queueSize: Int) -> Int { queueSize * slotByteCount }

    /// - Parameters:
    ///   - memory: for the slots (``byteCount(queueSize:)``).
    ///   - privateMemory: where frames are.
    public init(memory: consuming CoherentAllocation, privateMemory: MemoryMap) {
        let range = memory.deviceRange
        count = range.byteCount / Self.slotByteCount
        base = memory.memory.hostRange(offset: memory.memoryOffset, byteCount: range.byteCount)
        deviceBase = range.address
        self.privateMemory = privateMemory
        self.memory = memory
    }

    /// Asks for the start of a slot that is free now: the device has read it, so it is in another processor's
    /// cache, too.
    @inlinable @inline(__always)
    mutating func prefetch(_ slot: Int) {
        guard slot < count else { return }
        base.dropFirst(slot &* Self.slotByteCount).prefetchForWriting()
    }

    /// Copies a frame into a slot that no frame is in.
    ///
    /// - Returns: where the device finds it; `nil` where it is too long, or not in one piece of private memory:
    ///   it is to be mapped.
    @inlinable @inline(__always)
    mutating func put(_ buffer: GuestRange, into slot: Int) -> GuestRange? {
        guard buffer.byteCount <= Self.slotByteCount, buffer.byteCount > 0, slot < count,
            let run = privateMemory.translate(buffer)
        else { return nil }
        let offset = slot &* Self.slotByteCount
        // SAFETY: `memory` keeps the target, the map the source.
        unsafe base.dropFirst(offset).copy(from: run.hostRange, byteCount: buffer.byteCount)
        return GuestRange(
            address: GuestAddress(deviceBase.rawValue &+ UInt64(truncatingIfNeeded: offset)),
            byteCount: buffer.byteCount)
    }
}
