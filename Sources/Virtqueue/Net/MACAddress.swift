/// The address of an Ethernet interface, 48 bits.
public struct MACAddress: Hashable, Sendable {
    /// The address as a number, its first byte in bits 40 to 47.
    public let rawValue: UInt64

    /// - Parameter rawValue: the first byte of the address in bits 40 to 47; what is above is dropped.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue & 0xffff_ffff_ffff
    }

    /// From the bytes of an address, as they stand in a frame.
    ///
    /// - Precondition: there are six.
    public init(bytes: some Collection<UInt8>) {
        precondition(bytes.count == Self.byteCount, "an address has six bytes")
        rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// From six numbers of two hexadecimal digits with colons between them: `52:54:00:12:34:56`.
    ///
    /// - Returns: `nil` where it is anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.count == 2 ? UInt8($0, radix: 16) : nil }
        guard parts.count == Self.byteCount, bytes.count == Self.byteCount,
            !text.contains("+")
        else { return nil }
        self.init(bytes: bytes)
    }

    /// As they stand in a frame.
    public var bytes: [UInt8] {
        (0..<Self.byteCount).map { UInt8(truncatingIfNeeded: rawValue >> (40 - 8 * $0)) }
    }

    /// Whether it stands for a group of interfaces, or for all.
    @inlinable @inline(__always)
    public var isGroup: Bool { rawValue & 1 << 40 != 0 }

    /// Whether an interface can have it for its own: it stands for no group, and not for nobody.
    public var isOfOne: Bool { !isGroup && rawValue != 0 }

    /// All interfaces.
    public static let broadcast = MACAddress(rawValue: 0xffff_ffff_ffff)
    /// The length in bytes.
    public static let byteCount = 6
}

extension MACAddress: CustomStringConvertible {
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
