/// What stands in front of every message: three words of 32 bits in this machine's byte order.
public struct MessageHeader: Equatable, Sendable {
    /// What is asked for or answered; see ``FrontendRequest/Code`` and ``BackendRequest/Code``.
    public var code: UInt32
    public var flags: Flags
    /// The length of the payload that follows, in bytes.
    public var payloadByteCount: UInt32

    /// The second word of a header.
    public struct Flags: OptionSet, Sendable {
        public let rawValue: UInt32

        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// The protocol's version, in the lower two bits: there is but this one.
        public static let version1 = Flags(rawValue: 1)
        /// The message answers another.
        public static let reply = Flags(rawValue: 1 << 2)
        /// The sender wants to hear whether it went well (`VHOST_USER_PROTOCOL_F_REPLY_ACK`).
        public static let needsReply = Flags(rawValue: 1 << 3)
    }

    public init(code: UInt32, flags: Flags, payloadByteCount: UInt32) {
        self.code = code
        self.flags = flags
        self.payloadByteCount = payloadByteCount
    }

    /// The length of a header in bytes.
    public static let byteCount = 12
    /// The longest payload taken or sent, in bytes: the protocol's longest needs 268.
    public static let payloadByteCountMax = 4096

    /// Reads a header.
    ///
    /// - Throws: where `bytes` is no header, the version is another, or the payload is too long to
    ///   be read. Nothing that follows on the connection can be understood then.
    public init(_ bytes: [UInt8]) throws(MalformedMessage) {
        var reader = PayloadReader(bytes)
        guard let code = reader.read(UInt32.self), let flags = reader.read(UInt32.self),
            let byteCount = reader.read(UInt32.self), reader.isAtEnd
        else { throw .truncated }
        guard flags & 3 == Flags.version1.rawValue else { throw .version(flags & 3) }
        guard byteCount <= Self.payloadByteCountMax else { throw .payloadTooLong(byteCount) }
        self.init(code: code, flags: Flags(rawValue: flags), payloadByteCount: byteCount)
    }

    /// The header as it is sent.
    public var bytes: [UInt8] {
        var writer = PayloadWriter()
        writer.write(code)
        writer.write(flags.rawValue)
        writer.write(payloadByteCount)
        return writer.bytes
    }
}
