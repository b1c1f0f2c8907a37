import Glibc
import Logging
import SharedMemory
import SystemPackage

@testable import VhostUser
@testable import Virtqueue

/// A whole connection of the backend, with a frontend that sends what it likes: messages with
/// descriptors, and memory that holds rings.
///
/// Input: what is in the memory; the messages: code, flags, descriptors, payload. A descriptor that
/// is lost shows in the next run: the lowest free number must stay what it was.
enum SessionTarget {
    static let memory = HostMemory.forFuzzing(byteCount: 0x8000)
    private static let event = makeEvent()
    private static let stop = makeEvent()
    private static let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
    /// What has been sent waits in the socket, and so do the answers.
    private static let messageCountMax = 48

    static func run(_ input: FuzzInput) {
        var input = input
        memory.clear()
        let before = lowestFreeDescriptor()
        serve(&input)
        require(lowestFreeDescriptor() == before, "no descriptor is lost")
    }

    private static func serve(_ input: inout FuzzInput) {
        do {
            let (frontend, backend) = try MessageSocket.makePair()
            for _ in 0..<messageCountMax where !input.isAtEnd {
                try send(&input, to: frontend)
            }
            shutdown(frontend.fileDescriptor.rawValue, Int32(SHUT_WR))
            let server = VhostUserBackend(
                device: FuzzDevice(), protocolFeatures: .all, logger: logger)
            // The call closes what it is given, and the object its own.
            let socket = try backend.fileDescriptor.duplicate()
            if let end = end(of: server, on: socket) {
                require(!end.description.isEmpty, "an error says what it is")
                require(end != .timedOut && end != .stopped, "nobody waits for anything")
            }
        } catch {
            fatalError("\(error)")
        }
    }

    private static func end(
        of server: VhostUserBackend, on socket: FileDescriptor
    ) -> VhostUserError? {
        do {
            try server.serve(socket, until: stop)
            return nil
        } catch {
            return error
        }
    }

    private static func send(
        _ input: inout FuzzInput, to socket: MessageSocket
    ) throws(VhostUserError) {
        let code = input.next(UInt8.self)
        if code == 0xff {
            let offset = Int(input.next(UInt16.self)) % memory.byteCount
            memory.poke(input.take(input.below(64)), at: offset)
            return
        }
        let flags = input.next(UInt8.self)
        var descriptors: [FileDescriptor] = []
        for _ in 0..<min(Int(flags >> 4), RegionDescription.tableCountMax) {
            descriptors.append(
                flags & 2 == 0
                    ? memory.fileDescriptor ?? event.fileDescriptor : event.fileDescriptor)
        }
        let payload = input.take(input.below(256))
        try socket.send(
            code: UInt32(code), flags: MessageHeader.Flags(rawValue: UInt32(flags & 0xc)),
            payload: payload, descriptors: descriptors, Patience(milliseconds: 0))
    }

    private static func makeEvent() -> EventDescriptor {
        do {
            return try EventDescriptor()
        } catch {
            fatalError("\(error)")
        }
    }

    private static func lowestFreeDescriptor() -> Int32 {
        let number = dup(event.fileDescriptor.rawValue)
        close(number)
        return number
    }
}
