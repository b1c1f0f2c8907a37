public import SharedMemory

/// What ends a vhost-user connection, or keeps one from being made.
public enum VhostUserError: Error, Equatable, Sendable {
    /// The owner asked for it.
    case stopped
    /// The peer closed the connection, between two messages.
    case closed
    /// The peer closed the connection in the midst of a message.
    case truncated
    /// The peer did not answer in time, or not go on with a message.
    case timedOut
    /// The peer sent what the protocol does not have.
    case malformed(MalformedMessage)
    /// The frontend asked for something that cannot be, and did not ask to be told so.
    case refused(FrontendRequest.Code, RequestRefusal)
    /// The backend answered that a request of this frontend failed.
    case failed(FrontendRequest.Code)
    /// The peer answered something else than what it was asked; `code` is the request's number.
    case unexpectedReply(code: UInt32)
    /// The backend does not have the extension that a call needs.
    case notNegotiated(ProtocolFeatures)
    /// There are more regions of memory than the backend takes.
    case tooManyRegions(maximum: Int)
    /// A ring is not in the memory that the backend was given.
    case unreachableRing
    /// Somebody serves that path, or something other than a socket is there.
    case pathInUse(String)
    /// The descriptor is no stream socket of the Unix domain, or it listens where a connection is wanted.
    case notASocket
    /// A system call failed.
    case system(SystemCallError)
}

extension VhostUserError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .stopped: "stopped"
        case .closed: "the peer closed the connection"
        case .truncated: "the peer closed the connection in the midst of a message"
        case .timedOut: "the peer kept this end waiting too long"
        case .malformed(let fault): "malformed message: \(fault)"
        case .refused(let code, let refusal): "\(code) refused: \(refusal)"
        case .failed(let code): "the backend failed at \(code)"
        case .unexpectedReply(let code): "what the peer sent is no answer to request \(code)"
        case .notNegotiated(let feature):
            "protocol feature \(feature.rawValue.trailingZeroBitCount) was not negotiated"
        case .tooManyRegions(let maximum): "the backend takes at most \(maximum) memory regions"
        case .unreachableRing: "the ring lies outside the memory that the backend was given"
        case .pathInUse(let path): "\(path) is in use"
        case .notASocket: "the descriptor is no Unix stream socket"
        case .system(let error): "\(error)"
        }
    }
}
