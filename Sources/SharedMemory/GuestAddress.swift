/// A guest-physical address: where the driver side says a byte is.
///
/// It means nothing to this process until a ``MemoryMap`` has translated it.
public struct GuestAddress: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension GuestAddress: CustomStringConvertible {
    public var description: String { "0x" + String(rawValue, radix: 16) }
}

/// A range of guest-physical addresses, as a descriptor of a virtqueue names it.
///
/// Both fields may come from a hostile peer: a range that runs past the end of the address space
/// can be written down, and is refused by ``MemoryMap``.
public struct GuestRange: Hashable, Sendable {
    public var address: GuestAddress
    /// The length in bytes, never negative.
    public var byteCount: Int

    /// - Precondition: `byteCount` is not negative.
    public init(address: GuestAddress, byteCount: Int) {
        precondition(byteCount >= 0, "a range has a length of zero or more bytes")
        self.address = address
        self.byteCount = byteCount
    }

    /// The part of this range that begins `offset` bytes in and is `byteCount` bytes long.
    ///
    /// - Precondition: the part lies in this range.
    public func slice(offset: Int, byteCount: Int) -> GuestRange {
        precondition(
            offset >= 0 && byteCount >= 0 && offset <= self.byteCount
                && byteCount <= self.byteCount - offset, "the part lies in the range")
        // Wrapping: a hostile range may run past the end of the address space, which no map takes.
        return GuestRange(
            address: GuestAddress(address.rawValue &+ UInt64(offset)), byteCount: byteCount)
    }
}
