import SystemPackage
import Virtqueue

/// The channel on which a backend sends requests of its own (`SET_BACKEND_REQ_FD`).
///
/// **Threading.** One thread at a time; ``VhostUserBackend`` sees to it.
final class BackendChannel: Sendable {
    let socket: MessageSocket

    /// - Parameter descriptor: ownership passes to the object, also when this throws.
    init(adopting descriptor: FileDescriptor) throws(VhostUserError) {
        socket = try MessageSocket(adopting: descriptor)
    }

    /// Whether nothing has come on it, and the frontend has its end.
    var isQuiet: Bool {
        do throws(VhostUserError) {
            _ = try socket.waitForMessage(Patience(milliseconds: 0))
            return false
        } catch {
            return error == .timedOut
        }
    }

    /// Sends a request, and waits for the answer if there is to be one.
    ///
    /// - Returns: whether the frontend did what it was asked, as far as it was to say so.
    /// - Throws: `timedOut`, `closed`, `system`, `malformed` or `unexpectedReply`.
    func send(
        _ request: BackendRequest, needsReply: Bool, _ patience: Patience
    ) throws(VhostUserError) -> Bool {
        let code = request.code.rawValue
        try socket.send(
            code: code, flags: needsReply ? .needsReply : [], payload: [], patience)
        guard needsReply else { return true }
        let reply = try socket.receive(patience)
        var reader = PayloadReader(reply.payload)
        guard reply.header.code == code, reply.header.flags.contains(.reply),
            let number = reader.read(UInt64.self), reader.isAtEnd
        else { throw .unexpectedReply(code: code) }
        return number == 0
    }
}
