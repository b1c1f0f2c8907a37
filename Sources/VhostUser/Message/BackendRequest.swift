/// What a backend asks of a frontend, on the channel that the frontend has given it.
///
/// Source: the vhost-user specification, *Back-end message types*. The others are about extensions
/// that this package does not offer.
public enum BackendRequest: Hashable, Sendable {
    /// The configuration space has changed (`BACKEND_CONFIG_CHANGE_MSG`).
    case configurationChanged

    /// The numbers of the requests.
    public enum Code: UInt32, CaseIterable, Sendable {
        /// `BACKEND_CONFIG_CHANGE_MSG`
        case configurationChanged = 2
    }

    public var code: Code { .configurationChanged }

    /// Reads a request: as ``FrontendRequest/init(code:payload:descriptorCount:)``.
    public init(
        code number: UInt32, payload: [UInt8], descriptorCount: Int
    ) throws(MalformedMessage) {
        guard Code(rawValue: number) != nil else { throw .unknownRequest(number) }
        guard payload.isEmpty else {
            throw .payloadSize(request: number, byteCount: payload.count)
        }
        guard descriptorCount == 0 else {
            throw .descriptorCount(request: number, count: descriptorCount)
        }
        self = .configurationChanged
    }
}
