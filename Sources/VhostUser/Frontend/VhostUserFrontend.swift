import CSocket
import SharedMemory
public import SystemPackage
public import Virtqueue

/// Drives a vhost-user backend: the side that has the guest, its memory and its driver.
///
/// A request that the backend can acknowledge (``ProtocolFeatures/replyAcknowledgement``) is waited
/// for; one that it cannot is only sent, and if it failed the backend closes the connection. After an
/// error other than `failed`, `notNegotiated`, `tooManyRegions` and `unreachableRing` the connection
/// is closed, for nobody knows any more which answer belongs to what.
///
/// **Threading.** One thread at a time.
///
/// Source: the vhost-user specification.
public final class VhostUserFrontend {
    /// How long an answer is waited for. A queue that is stopped finishes first what it has begun.
    public var timeoutMilliseconds: Int

    /// What the backend offers; empty before ``negotiate(features:protocolFeatures:)``.
    public private(set) var offeredFeatures: VirtioFeatures = []
    /// What was agreed on.
    public private(set) var features: VirtioFeatures = []
    /// Which extensions were agreed on.
    public private(set) var protocolFeatures: ProtocolFeatures = []

    /// `nil` after an error.
    private var socket: MessageSocket?
    /// What was sent of the guest's memory.
    var memoryMap: MemoryMap?

    /// Connects to a backend that listens at a path.
    ///
    /// - Throws: `system`, of `connect` with `ECONNREFUSED` or `ENOENT` where nobody listens.
    public convenience init(
        connecting path: FilePath, timeoutMilliseconds: Int = 10_000
    ) throws(VhostUserError) {
        self.init(try MessageSocket(connecting: path), timeoutMilliseconds)
    }

    /// Takes a connection to a backend.
    ///
    /// - Parameter descriptor: ownership passes to the object, also when this throws.
    /// - Throws: `notASocket`.
    public convenience init(
        adopting descriptor: FileDescriptor, timeoutMilliseconds: Int = 10_000
    ) throws(VhostUserError) {
        self.init(try MessageSocket(adopting: descriptor), timeoutMilliseconds)
    }

    init(_ socket: MessageSocket, _ timeoutMilliseconds: Int) {
        self.socket = socket
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// The process that serves the socket; `nil` where the system does not tell.
    public var backendProcess: Int32? {
        guard let socket else { return nil }
        let process = csocket_peer(socket.fileDescriptor.rawValue)
        return process > 0 ? process : nil
    }

    /// Learns what the backend offers, and settles on what both sides have. The first thing to do.
    ///
    /// - Parameters:
    ///   - wanted: the features to ask for; `.protocolFeatures` is added where it is offered.
    ///   - wantedOfProtocol: the extensions to ask for.
    public func negotiate(
        features wanted: VirtioFeatures, protocolFeatures wantedOfProtocol: ProtocolFeatures = .all
    ) throws(VhostUserError) {
        offeredFeatures = VirtioFeatures(rawValue: try askForNumber(.getFeatures))
        if offeredFeatures.contains(.protocolFeatures) {
            let offered = ProtocolFeatures(rawValue: try askForNumber(.getProtocolFeatures))
            let agreed = offered.intersection(wantedOfProtocol)
            try perform(.setProtocolFeatures(agreed))
            protocolFeatures = agreed
        }
        try perform(.setOwner)
        try setFeatures(
            wanted.union(.protocolFeatures).intersection(offeredFeatures))
    }

    /// Changes what was agreed on, `VirtioFeatures.logAll` for example.
    public func setFeatures(_ features: VirtioFeatures) throws(VhostUserError) {
        try perform(.setFeatures(features))
        self.features = features
    }

    /// How many queues the backend has at most.
    public func queueCountMax() throws(VhostUserError) -> Int {
        Int(clamping: try askForNumber(.getQueueCount))
    }

    /// Sends the device back to where it was in the beginning. Features and queues are to be set
    /// again, memory stays.
    public func resetDevice() throws(VhostUserError) {
        try perform(.resetDevice)
    }

    /// Tells the MTU that the driver of a network device is told, in bytes. A backend that takes no packets
    /// of that length refuses it.
    public func setMTU(_ mtu: Int) throws(VhostUserError) {
        try perform(.setMTU(UInt64(mtu)))
    }

    /// Has the backend announce a driver that does not do it itself, in its new place: one that has not agreed
    /// to `VirtioFeatures.netGuestAnnounce`.
    public func announce(_ address: MACAddress) throws(VhostUserError) {
        try perform(.announce(address))
    }

    /// Tells the device's status, as a driver has written it (virtio 1.2, 2.1); 0 resets the device.
    public func setStatus(_ status: UInt8) throws(VhostUserError) {
        try perform(.setStatus(UInt64(status)))
    }

    /// The device's status.
    public func status() throws(VhostUserError) -> UInt8 {
        UInt8(truncatingIfNeeded: try askForNumber(.getStatus))
    }

    /// Sends a request that has no answer of its own, and waits for the word that it went well, if
    /// the backend gives that.
    func perform(
        _ request: FrontendRequest, _ descriptors: [FileDescriptor] = []
    ) throws(VhostUserError) {
        let isAcknowledged = protocolFeatures.contains(.replyAcknowledgement)
        let reply = try exchange(
            request, descriptors, flags: isAcknowledged ? .needsReply : [],
            expectsReply: isAcknowledged)
        guard let reply else { return }
        guard try number(of: reply.payload, request.code) == 0 else { throw .failed(request.code) }
    }

    /// Sends a request, and waits for its answer.
    func ask(
        _ request: FrontendRequest, _ descriptors: [FileDescriptor] = []
    ) throws(VhostUserError) -> IncomingMessage {
        guard let reply = try exchange(request, descriptors, flags: [], expectsReply: true) else {
            throw .closed
        }
        return reply
    }

    /// Sends a request whose answer is a number.
    func askForNumber(_ request: FrontendRequest) throws(VhostUserError) -> UInt64 {
        let reply = try ask(request)
        return try number(of: reply.payload, request.code)
    }

    /// Closes the connection, and says why.
    func giveUp(_ error: VhostUserError) -> VhostUserError {
        socket = nil
        return error
    }

    private func exchange(
        _ request: FrontendRequest, _ descriptors: [FileDescriptor], flags: MessageHeader.Flags,
        expectsReply: Bool
    ) throws(VhostUserError) -> IncomingMessage? {
        if let feature = request.code.protocolFeature, !protocolFeatures.contains(feature) {
            throw .notNegotiated(feature)
        }
        guard let socket else { throw .closed }
        let code = request.code.rawValue
        let patience = Patience(milliseconds: timeoutMilliseconds)
        do throws(VhostUserError) {
            try socket.send(
                code: code, flags: flags, payload: request.payload, descriptors: descriptors,
                patience)
            guard expectsReply else { return nil }
            let reply = try socket.receive(patience)
            guard reply.header.code == code, reply.header.flags.contains(.reply),
                !reply.descriptors.areTruncated,
                reply.descriptors.count == 0 || request.code == .getInflight
            else { throw .unexpectedReply(code: code) }
            return reply
        } catch {
            throw giveUp(error)
        }
    }

    private func number(
        of payload: [UInt8], _ code: FrontendRequest.Code
    ) throws(VhostUserError) -> UInt64 {
        var reader = PayloadReader(payload)
        guard let number = reader.read(UInt64.self), reader.isAtEnd else {
            throw giveUp(.unexpectedReply(code: code.rawValue))
        }
        return number
    }
}
