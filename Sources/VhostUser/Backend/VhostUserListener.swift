import Glibc
public import SharedMemory
public import SystemPackage
import Virtqueue

/// Where frontends come in: a path, or a descriptor that a parent process has left.
///
/// **Threading.** ``serve(with:until:)`` blocks: it wants a thread of its own.
public final class VhostUserListener: Sendable {
    /// What the descriptor is.
    private enum Kind {
        case listening
        /// A connection, which is served once.
        case connected
    }

    private let descriptor: FileDescriptor
    private let kind: Kind
    /// The file to remove at the end, if it is still the one made here.
    private let file: SocketFile?

    /// Listens at a path. A socket left there by a process that is gone is removed.
    ///
    /// - Parameter path: where; at most 107 bytes. Unlinked with the object.
    /// - Throws: `pathInUse` where somebody listens there, or there is something other than a
    ///   socket; `system`.
    public init(path: FilePath) throws(VhostUserError) {
        try SocketFile.removeStale(path)
        let descriptor = try MessageSocket.makeSocket()
        MessageSocket.refuseDescriptorsOfWaiting(at: descriptor)
        do throws(VhostUserError) {
            try MessageSocket.attach(descriptor, to: path, listening: true)
            guard listen(descriptor.rawValue, 8) == 0 else {
                throw .system(SystemCallError("listen", Errno(rawValue: errno)))
            }
        } catch {
            try? descriptor.close()
            throw error
        }
        self.descriptor = descriptor
        kind = .listening
        file = SocketFile(path)
    }

    /// Takes a descriptor that this process was started with (`--fd`).
    ///
    /// - Parameter descriptor: a stream socket of the Unix domain that listens, or that is a
    ///   connection already. Ownership passes to the object, also when this throws.
    /// - Throws: `notASocket`.
    public init(adopting descriptor: FileDescriptor) throws(VhostUserError) {
        do throws(VhostUserError) {
            guard try MessageSocket.option(SO_DOMAIN, of: descriptor) == AF_UNIX,
                try MessageSocket.option(SO_TYPE, of: descriptor) == Int32(SOCK_STREAM.rawValue)
            else { throw .notASocket }
            kind =
                try MessageSocket.option(SO_ACCEPTCONN, of: descriptor) != 0
                ? .listening : .connected
        } catch {
            try? descriptor.close()
            throw error
        }
        _ = fcntl(descriptor.rawValue, F_SETFD, FD_CLOEXEC)
        let flags = fcntl(descriptor.rawValue, F_GETFL)
        _ = fcntl(descriptor.rawValue, F_SETFL, flags | O_NONBLOCK)
        if case .listening = kind { MessageSocket.refuseDescriptorsOfWaiting(at: descriptor) }
        self.descriptor = descriptor
        file = nil
    }

    deinit {
        file?.remove()
        try? descriptor.close()
    }

    /// Serves frontends one after another until `stop` is signalled; or the one that is there, if
    /// the descriptor was a connection.
    ///
    /// A frontend that misbehaves loses its connection, and the next is served.
    ///
    /// - Throws: `system` where no frontend can be waited for any more; of a connection, why it was
    ///   given up.
    public func serve(
        with backend: VhostUserBackend, until stop: EventDescriptor
    ) throws(VhostUserError) {
        guard kind == .listening else {
            let copy: FileDescriptor
            do {
                copy = try descriptor.duplicate()
            } catch let error as Errno {
                throw .system(SystemCallError("dup", error))
            } catch {
                throw .notASocket
            }
            return try backend.serve(copy, until: stop)
        }
        while let socket = try nextFrontend(stop) {
            // The backend has said why in its log.
            try? backend.serve(socket, until: stop)
        }
    }

    /// Waits for a frontend; `nil` when it is time to stop.
    private func nextFrontend(_ stop: EventDescriptor) throws(VhostUserError) -> FileDescriptor? {
        while true {
            do throws(VhostUserError) {
                try MessageSocket.wait(
                    for: descriptor, events: Int16(POLLIN), Patience(stop: stop))
            } catch {
                guard error == .stopped else { throw error }
                return nil
            }
            if let socket = try MessageSocket.accept(from: descriptor, until: stop) {
                return socket
            }
        }
    }
}
