import Glibc
import SharedMemory
public import SystemPackage

/// The frontend's end of the channel on which a backend sends requests of its own.
///
/// **Threading.** One thread at a time, which need not be that of the frontend.
public final class BackendRequestChannel: Sendable {
    private let socket: MessageSocket

    init(_ socket: MessageSocket) {
        self.socket = socket
    }

    /// Readable when there is a request to receive.
    public var fileDescriptor: FileDescriptor { socket.fileDescriptor }

    /// Waits for the next request, has it seen to, and answers it if that is wanted.
    ///
    /// What is unknown is answered in the negative, and passed over.
    ///
    /// - Parameters:
    ///   - timeoutMilliseconds: how long to wait; `nil` for ever.
    ///   - handle: does what is asked; whether it could.
    /// - Throws: `timedOut`, `closed`, `truncated`, `malformed` or `system`.
    public func receive(
        timeoutMilliseconds: Int?, _ handle: (BackendRequest) -> Bool
    ) throws(VhostUserError) {
        let patience = Patience(milliseconds: timeoutMilliseconds)
        var isHandled = false
        while !isHandled {
            let message = try socket.receive(patience)
            var isDone = false
            let request = try? BackendRequest(
                code: message.header.code, payload: message.payload,
                descriptorCount: message.descriptors.count)
            if let request {
                isDone = handle(request)
                isHandled = true
            }
            guard message.header.flags.contains(.needsReply) else { continue }
            try socket.send(
                code: message.header.code, flags: .reply,
                payload: Reply.number(isDone ? 0 : 1).payload, patience)
        }
    }
}

extension VhostUserFrontend {
    /// Gives the backend a channel for requests of its own.
    ///
    /// - Returns: this side's end of it.
    public func openBackendChannel() throws(VhostUserError) -> BackendRequestChannel {
        let (own, theirs) = try MessageSocket.makePair()
        try perform(.setBackendChannel, [theirs.fileDescriptor])
        return BackendRequestChannel(own)
    }
}
