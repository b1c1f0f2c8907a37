import Logging
import SharedMemory
import SystemPackage
import Virtqueue

/// One connection of a frontend, from the first message to the last, and all that it has set.
///
/// Lives on the thread that serves it.
final class BackendSession {
    let backend: VhostUserBackend
    let socket: MessageSocket
    private let patience: Patience

    var features: VirtioFeatures = []
    var protocolFeatures: ProtocolFeatures = []
    var memory = RegionTable.empty
    var rings: [Ring]
    var inflight: InflightMemory?
    var log: DirtyLog?
    var status: UInt8 = 0

    /// The requests whose failure was logged; `nil` stands for those without a name.
    private var loggedFailures: Set<FrontendRequest.Code?> = []

    /// An answer, and what is sent with it.
    struct Answer {
        var reply: Reply
        var attachment: HostMemory?
    }

    init(backend: VhostUserBackend, socket: MessageSocket, stop: EventDescriptor) {
        self.backend = backend
        self.socket = socket
        patience = Patience(stop: stop)
        // Kick, call and error messages have eight bits for the queue.
        let queueCount = min(max(backend.device.queueCountMax, 0), 256)
        rings = (0..<queueCount).map {
            Ring(alarm: QueueAlarm(queue: $0, logger: backend.logger))
        }
    }

    var device: any VirtioDevice { backend.device }

    /// Serves the connection to its end, and leaves nothing running.
    ///
    /// - Returns: why it ended.
    func run() -> VhostUserError {
        defer { end() }
        do {
            while true {
                try waitForMessage()
                try answer(try socket.receive(patience))
            }
        } catch {
            return error
        }
    }

    /// Waits for a message, and gives the channel up where anything comes on it meanwhile, or it ends. What
    /// lies there unread may hold the other end of this connection, whose end would never be seen.
    private func waitForMessage() throws(VhostUserError) {
        while let channel = backend.channel,
            try socket.waitForMessage(or: channel.socket, patience)
        {
            backend.giveUpUnlessQuiet(channel)
        }
    }

    /// A frontend that goes is no reset of its device: it may come back with a driver that knows
    /// nothing of it, and that relies on what it has set.
    private func end() {
        for index in rings.indices {
            stop(index)
            rings[index].reset()
        }
    }

    private func answer(_ message: consuming IncomingMessage) throws(VhostUserError) {
        let header = message.header
        let answer: Answer?
        do {
            answer = try serve(message)
        } catch {
            return try fail(header, error)
        }
        if let answer {
            try reply(header, answer)
        } else if isAcknowledged(header) {
            try reply(header, Answer(reply: .number(0)))
        }
    }

    /// Does what a message asks. Its descriptors are taken or closed at the end of this, before the
    /// frontend hears of it.
    private func serve(
        _ message: consuming IncomingMessage
    ) throws(VhostUserError) -> Answer? {
        let request: FrontendRequest
        do {
            request = try decode(message)
        } catch {
            throw .malformed(error)
        }
        do {
            return try handle(request, &message.descriptors)
        } catch {
            throw .refused(request.code, error)
        }
    }

    private func decode(
        _ message: borrowing IncomingMessage
    ) throws(MalformedMessage) -> FrontendRequest {
        let code = message.header.code
        guard !message.header.flags.contains(.reply) else { throw .notARequest(code) }
        guard !message.descriptors.areTruncated else { throw .lostDescriptors(request: code) }
        return try FrontendRequest(
            code: code, payload: message.payload, descriptorCount: message.descriptors.count)
    }

    private func isAcknowledged(_ header: MessageHeader) -> Bool {
        header.flags.contains(.needsReply) && protocolFeatures.contains(.replyAcknowledgement)
    }

    /// Tells the frontend of a failure, if it has asked for that. If not, it would go on as if all
    /// were well: the connection is closed, save where what has failed is nothing to go by.
    private func fail(_ header: MessageHeader, _ error: VhostUserError) throws(VhostUserError) {
        let code = FrontendRequest.Code(rawValue: header.code)
        let isAsked = isAcknowledged(header) && code?.hasReply != true
        guard isAsked || error.isHarmless else { throw error }
        if loggedFailures.insert(code).inserted {
            backend.logger.warning("\(error)")
        }
        if isAsked { try reply(header, Answer(reply: .number(1))) }
    }

    /// A frontend that does not take its answers is not waited for without limit, as in
    /// ``MessageSocket/receive(_:)``.
    private func reply(_ header: MessageHeader, _ answer: Answer) throws(VhostUserError) {
        let descriptor = answer.attachment?.fileDescriptor
        try socket.send(
            code: header.code, flags: .reply, payload: answer.reply.payload,
            descriptors: descriptor.map { [$0] } ?? [], patience.forOneMessage)
    }
}

extension VhostUserError {
    /// Whether a frontend that does not hear of it is none the worse: its driver works all the same, and
    /// can be announced again.
    fileprivate var isHarmless: Bool {
        if case .refused(_, .announcement) = self { true } else { false }
    }
}
