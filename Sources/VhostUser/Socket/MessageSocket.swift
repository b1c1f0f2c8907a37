import CSocket
import Glibc
import SharedMemory
import SystemPackage

/// One end of a connection: whole messages go in and out.
///
/// **Threading.** Any thread may use it; one at a time sends, one at a time receives.
final class MessageSocket: Sendable {
    /// Owned: closed with the object.
    let fileDescriptor: FileDescriptor

    /// - Parameter descriptor: a connected stream socket of the Unix domain. Ownership passes to the
    ///   object, also when this throws.
    init(adopting descriptor: FileDescriptor) throws(VhostUserError) {
        do throws(VhostUserError) {
            guard try Self.option(SO_TYPE, of: descriptor) == Int32(SOCK_STREAM.rawValue),
                try Self.option(SO_DOMAIN, of: descriptor) == AF_UNIX,
                try Self.option(SO_ACCEPTCONN, of: descriptor) == 0
            else { throw .notASocket }
        } catch {
            try? descriptor.close()
            throw error
        }
        _ = fcntl(descriptor.rawValue, F_SETFD, FD_CLOEXEC)
        fileDescriptor = descriptor
    }

    /// Connects to a path.
    convenience init(connecting path: FilePath) throws(VhostUserError) {
        let descriptor = try Self.makeSocket()
        do throws(VhostUserError) {
            try Self.attach(descriptor, to: path, listening: false)
        } catch {
            try? descriptor.close()
            throw error
        }
        try self.init(adopting: descriptor)
    }

    deinit {
        try? fileDescriptor.close()
    }

    /// A stream socket of the Unix domain that does not block.
    static func makeSocket() throws(VhostUserError) -> FileDescriptor {
        let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let descriptor = socket(AF_UNIX, Int32(type), 0)
        guard descriptor >= 0 else {
            throw .system(SystemCallError("socket", Errno(rawValue: errno)))
        }
        return FileDescriptor(rawValue: descriptor)
    }

    /// Sends a message, all of it.
    ///
    /// - Parameter descriptors: what goes along; they stay the caller's.
    /// - Throws: `stopped`, `timedOut`, `closed` or `system`. A part of the message may have been
    ///   sent then, so the connection is of no more use.
    func send(
        code: UInt32, flags: MessageHeader.Flags, payload: [UInt8],
        descriptors: [FileDescriptor] = [], _ patience: Patience
    ) throws(VhostUserError) {
        let header = MessageHeader(
            code: code, flags: flags.union(.version1), payloadByteCount: UInt32(payload.count))
        let bytes = header.bytes + payload
        // Descriptors go with the first byte, so that the peer gets them with the header.
        var sent = try Self.send(bytes[...], descriptors, to: fileDescriptor, patience)
        while sent < bytes.count {
            sent += try Self.send(bytes[sent...], [], to: fileDescriptor, patience)
        }
    }

    /// Waits for a message, or for the end of the connection.
    ///
    /// - Parameter other: ends the wait, too, when anything comes on it, or it ends.
    /// - Returns: whether that is so.
    /// - Throws: `stopped`, `timedOut` or `system`.
    func waitForMessage(
        or other: MessageSocket? = nil, _ patience: Patience
    ) throws(VhostUserError) -> Bool {
        // Others may let go of it meanwhile, and its number must not be another's.
        defer { extendLifetime(other) }
        return try Self.wait(
            for: fileDescriptor, events: Int16(POLLIN), or: other?.fileDescriptor, patience)
    }

    /// Receives a message, all of it. One that has begun is not waited for without limit: its peer may have
    /// sent the other end of this connection along, and then nobody hears that it is gone.
    ///
    /// - Throws: `stopped`, `timedOut`, `closed`, `truncated`, `system`; `malformed` where the header
    ///   makes the rest of the connection meaningless. Descriptors that came are closed then.
    func receive(_ patience: Patience) throws(VhostUserError) -> IncomingMessage {
        // Descriptors belong to the first byte of a message: the kernel closes those that come with
        // any other.
        let received = try Self.receive(
            from: fileDescriptor, byteCount: MessageHeader.byteCount, takesDescriptors: true,
            patience)
        guard !received.bytes.isEmpty else { throw .closed }
        let patience = patience.forOneMessage
        let rest = try receiveRest(MessageHeader.byteCount - received.bytes.count, patience)
        let header: MessageHeader
        do {
            header = try MessageHeader(received.bytes + rest)
        } catch {
            throw .malformed(error)
        }
        let payload = try receiveRest(Int(header.payloadByteCount), patience)
        return IncomingMessage(
            header: header, payload: payload, descriptors: received.descriptors)
    }

    /// Receives exactly so many bytes in the midst of a message.
    private func receiveRest(
        _ byteCount: Int, _ patience: Patience
    ) throws(VhostUserError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < byteCount {
            let part = try Self.receive(
                from: fileDescriptor, byteCount: byteCount - bytes.count, takesDescriptors: false,
                patience)
            guard !part.bytes.isEmpty else { throw .truncated }
            bytes += part.bytes
        }
        return bytes
    }
}
