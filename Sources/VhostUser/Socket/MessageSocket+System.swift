import CSocket
import Glibc
import SharedMemory
import SystemPackage
import Virtqueue

// The only system calls of this module that take pointers.
extension MessageSocket {
    /// Receives up to `byteCount` bytes and the descriptors with them, once there are any.
    ///
    /// - Returns: no bytes at the end of the connection.
    static func receive(
        from socket: FileDescriptor, byteCount: Int, takesDescriptors: Bool, _ patience: Patience
    ) throws(VhostUserError) -> ReceivedBytes {
        while true {
            // First, also where there is something to receive: a peer that never pauses must not keep
            // this one from being stopped.
            try wait(for: socket, events: Int16(POLLIN), patience)
            var descriptors = [Int32](repeating: -1, count: csocket_descriptors_max)
            var count = takesDescriptors ? Int32(descriptors.count) : 0
            var isTruncated: Int32 = 0
            var bytes = [UInt8](repeating: 0, count: byteCount)
            let received = unsafe bytes.withUnsafeMutableBytes { bytes in
                unsafe descriptors.withUnsafeMutableBufferPointer { descriptors in
                    // SAFETY: both buffers live for the call and are as long as it is told.
                    unsafe csocket_receive(
                        socket.rawValue, bytes.baseAddress, bytes.count, descriptors.baseAddress,
                        &count, &isTruncated)
                }
            }
            let errno = Errno(rawValue: Glibc.errno)
            if received >= 0 {
                let taken = descriptors.prefix(Int(count)).map { FileDescriptor(rawValue: $0) }
                return ReceivedBytes(
                    bytes: Array(bytes.prefix(received)),
                    descriptors: ReceivedDescriptors(taken, areTruncated: isTruncated != 0))
            }
            switch errno {
            case .interrupted, .wouldBlock: continue
            case .connectionReset:
                return ReceivedBytes(
                    bytes: [], descriptors: ReceivedDescriptors([], areTruncated: false))
            default: throw .system(SystemCallError("recvmsg", errno))
            }
        }
    }

    /// Sends some bytes, at least one, with the descriptors.
    ///
    /// - Returns: how many.
    static func send(
        _ bytes: ArraySlice<UInt8>, _ descriptors: [FileDescriptor], to socket: FileDescriptor,
        _ patience: Patience
    ) throws(VhostUserError) -> Int {
        let numbers = descriptors.map(\.rawValue)
        while true {
            let sent = unsafe bytes.withUnsafeBytes { bytes in
                unsafe numbers.withUnsafeBufferPointer { numbers in
                    // SAFETY: both buffers live for the call and are as long as it is told.
                    unsafe csocket_send(
                        socket.rawValue, bytes.baseAddress, bytes.count, numbers.baseAddress,
                        Int32(numbers.count))
                }
            }
            let errno = Errno(rawValue: Glibc.errno)
            if sent > 0 { return sent }
            switch errno {
            case .interrupted: continue
            case .wouldBlock: try wait(for: socket, events: Int16(POLLOUT), patience)
            case .brokenPipe, .connectionReset: throw .closed
            default: throw .system(SystemCallError("sendmsg", errno))
            }
        }
    }

    /// Waits until a socket is ready.
    ///
    /// - Parameter other: a connection beside it, for anything that comes on it, or its end.
    /// - Returns: whether the other one is ready, too or alone.
    /// - Throws: `stopped`, `timedOut`, or `system`.
    @discardableResult
    static func wait(
        for socket: FileDescriptor, events: Int16, or other: FileDescriptor? = nil,
        _ patience: Patience
    ) throws(VhostUserError) -> Bool {
        var patience = patience
        var isProlonged = false
        // A descriptor of -1 is passed over.
        var entries = [
            pollfd(fd: socket.rawValue, events: events, revents: 0),
            pollfd(
                fd: patience.stop?.fileDescriptor.rawValue ?? -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: other?.rawValue ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let ready = unsafe entries.withUnsafeMutableBufferPointer {
                // SAFETY: the buffer has as many entries as are named.
                unsafe poll($0.baseAddress, nfds_t($0.count), patience.timeoutMilliseconds)
            }
            let errno = Errno(rawValue: Glibc.errno)
            if ready < 0 {
                guard errno == .interrupted else { throw .system(SystemCallError("poll", errno)) }
            } else if entries[1].revents != 0 {
                throw .stopped
            } else if ready == 0 {
                guard !isProlonged, let more = patience.afterStandstill else { throw .timedOut }
                (patience, isProlonged) = (more, true)
            } else {
                return entries[2].revents != 0
            }
        }
    }

    /// Connects to, or binds, a path.
    static func attach(
        _ socket: FileDescriptor, to path: FilePath, listening: Bool
    ) throws(VhostUserError) {
        let path = path.string
        // SAFETY: the string lives for the call.
        let result =
            listening
            ? unsafe csocket_bind(socket.rawValue, path)
            : unsafe csocket_connect(socket.rawValue, path)
        guard result == 0 else {
            throw .system(
                SystemCallError(listening ? "bind" : "connect", Errno(rawValue: Glibc.errno)))
        }
    }

    /// Whether a socket is the other end of this one, or of another that was accepted at the same path.
    func isReached(by socket: FileDescriptor) -> Bool {
        csocket_leads_to(socket.rawValue, fileDescriptor.rawValue) != 0
    }

    /// Two ends of a new connection.
    static func makePair() throws(VhostUserError) -> (MessageSocket, MessageSocket) {
        var descriptors: (Int32, Int32) = (-1, -1)
        let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let result = unsafe withUnsafeMutableBytes(of: &descriptors) {
            // SAFETY: the tuple has the layout of two integers, and lives for the call.
            unsafe socketpair(
                AF_UNIX, Int32(type), 0, $0.baseAddress?.assumingMemoryBound(to: Int32.self))
        }
        guard result == 0 else {
            throw .system(SystemCallError("socketpair", Errno(rawValue: Glibc.errno)))
        }
        let first = try MessageSocket(adopting: FileDescriptor(rawValue: descriptors.0))
        return (first, try MessageSocket(adopting: FileDescriptor(rawValue: descriptors.1)))
    }

    /// An integer option of a socket (`SOL_SOCKET`).
    static func option(_ name: Int32, of socket: FileDescriptor) throws(VhostUserError) -> Int32 {
        var value: Int32 = 0
        var byteCount = socklen_t(MemoryLayout<Int32>.size)
        // SAFETY: both are locals.
        guard unsafe getsockopt(socket.rawValue, SOL_SOCKET, name, &value, &byteCount) == 0 else {
            throw .notASocket
        }
        return value
    }

    /// Keeps connections that wait at a listening socket from being sent descriptors: what nobody has received yet
    /// may hold the other end of the connection that is served, whose end would never be seen.
    ///
    /// - Returns: whether the kernel can (Linux 6.16).
    @discardableResult
    static func refuseDescriptorsOfWaiting(at listener: FileDescriptor) -> Bool {
        csocket_pass_rights(listener.rawValue, 0) == 0
    }

    /// Takes a connection that is waiting; `nil` where there is none after all, or the system has no
    /// room for one: then it returns after a while, or when `stop` is signalled.
    static func accept(
        from listener: FileDescriptor, until stop: EventDescriptor
    ) throws(VhostUserError) -> FileDescriptor? {
        let socket = csocket_accept(listener.rawValue)
        guard socket < 0 else { return FileDescriptor(rawValue: socket) }
        let errno = Errno(rawValue: Glibc.errno)
        switch errno {
        case .interrupted, .wouldBlock, .connectionAbort: return nil
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory:
            // It passes, and the connection waits until then.
            do throws(VhostUserError) {
                try wait(
                    for: FileDescriptor(rawValue: -1), events: 0,
                    Patience(stop: stop, milliseconds: 100))
            } catch {
                guard error == .timedOut || error == .stopped else { throw error }
            }
            return nil
        default: throw .system(SystemCallError("accept4", errno))
        }
    }
}
