/// Why a message is none that this side of the protocol can take.
public enum MalformedMessage: Error, Hashable, Sendable {
    /// A header is not as long as headers are.
    case truncated
    /// The version is not 1.
    case version(UInt32)
    /// The payload is longer than ``MessageHeader/payloadByteCountMax``.
    case payloadTooLong(UInt32)
    /// Nothing is known by this number.
    case unknownRequest(UInt32)
    /// A reply where a request belongs.
    case notARequest(UInt32)
    /// The payload has not the length that the request has, or that its own fields name.
    case payloadSize(request: UInt32, byteCount: Int)
    /// A field has a value that the protocol does not give it.
    case value(request: UInt32)
    /// More or fewer descriptors came along than the request takes.
    case descriptorCount(request: UInt32, count: Int)
    /// Descriptors came along that this process had no room for.
    case lostDescriptors(request: UInt32)
}

extension MalformedMessage: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated: "the header is incomplete"
        case .version(let version): "version \(version) of the protocol is not supported"
        case .payloadTooLong(let byteCount): "a payload of \(byteCount) bytes is too long"
        case .unknownRequest(let code): "request \(code) is unknown"
        case .notARequest(let code): "message \(code) is a reply where a request belongs"
        case .payloadSize(let code, let byteCount):
            "request \(code) cannot have a payload of \(byteCount) bytes"
        case .value(let code): "a field of request \(code) is out of range"
        case .descriptorCount(let code, let count):
            "request \(code) does not take \(count) descriptors"
        case .lostDescriptors(let code):
            "request \(code) brought more descriptors than there was room for"
        }
    }
}
