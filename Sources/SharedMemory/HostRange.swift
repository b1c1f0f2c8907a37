/// A checked range of this process's memory, as a number that only the kernel is to use.
///
/// It is made by ``HostMemory`` and ``MemoryMap`` alone, after their bounds checks, so a holder
/// cannot invent one; it carries no pointer, so a holder cannot read through it. It does not keep
/// its memory alive: whoever hands it to the kernel keeps the ``HostMemory`` until the operation
/// has completed.
public struct HostRange: Hashable, Sendable {
    /// The virtual address of the first byte.
    public let address: UInt64
    /// The length in bytes.
    public let byteCount: Int

    @usableFromInline
    init(address: UInt64, byteCount: Int) {
        self.address = address
        self.byteCount = byteCount
    }

    /// What is left after the first `count` bytes.
    ///
    /// - Precondition: `count` is at most ``byteCount``.
    @inlinable
    public func dropFirst(_ count: Int) -> HostRange {
        precondition(count >= 0 && count <= byteCount, "a range cannot lose more than it has")
        return HostRange(address: address &+ UInt64(count), byteCount: byteCount &- count)
    }

    /// The first `count` bytes, or all where there are fewer.
    @inlinable
    public func prefix(_ count: Int) -> HostRange {
        HostRange(address: address, byteCount: min(max(count, 0), byteCount))
    }

    /// Whether `next` begins where this range ends.
    public func isFollowed(by next: HostRange) -> Bool {
        address &+ UInt64(byteCount) == next.address
    }

    /// This range made longer by `next`, which follows it.
    ///
    /// - Precondition: ``isFollowed(by:)`` is true of `next`.
    public func joined(with next: HostRange) -> HostRange {
        precondition(isFollowed(by: next), "only ranges that touch can be joined")
        return HostRange(address: address, byteCount: byteCount + next.byteCount)
    }
}
