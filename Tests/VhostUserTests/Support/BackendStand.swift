import Logging
import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

/// A backend that serves one end of a connection on a thread of its own, and the other end.
final class BackendStand {
    let device: MockDevice
    let backend: VhostUserBackend
    let stop: EventDescriptor
    /// The other end, for messages put together by hand.
    private(set) var socket: MessageSocket?
    private let thread: BackgroundThread<VhostUserError?>
    private var isFinished = false

    init(
        _ device: MockDevice = MockDevice(), backend: VhostUserBackend? = nil,
        protocolFeatures: ProtocolFeatures = .all, logger: Logger = .silent
    ) throws {
        let backend =
            backend
            ?? VhostUserBackend(device: device, protocolFeatures: protocolFeatures, logger: logger)
        let stop = try EventDescriptor()
        let (own, theirs) = try MessageSocket.makePair()
        let descriptor = try theirs.fileDescriptor.duplicate()
        self.device = device
        self.backend = backend
        self.stop = stop
        socket = own
        thread = BackgroundThread {
            do throws(VhostUserError) {
                try backend.serve(descriptor, until: stop)
                return nil
            } catch {
                return error
            }
        }
    }

    deinit {
        stop.signal()
        if !isFinished { _ = waitForEnd() }
    }

    /// The other end, as a frontend that has not said anything yet.
    func frontend() throws -> VhostUserFrontend {
        VhostUserFrontend(try #require(socket), 10_000)
    }

    /// A frontend that has agreed on all there is.
    func negotiated(
        features: VirtioFeatures = [.version1, .eventIndex],
        protocolFeatures: ProtocolFeatures = .all
    ) throws -> VhostUserFrontend {
        let frontend = try frontend()
        try frontend.negotiate(features: features, protocolFeatures: protocolFeatures)
        return frontend
    }

    /// Closes the connection, unless a frontend still holds it, and waits for the backend to see.
    ///
    /// - Returns: why the backend gave up; `nil` where it did not.
    func finish() -> VhostUserError? {
        socket = nil
        return waitForEnd()
    }

    /// Waits for the backend to give up by itself.
    func waitForEnd() -> VhostUserError? {
        isFinished = true
        defer { device.forgetSetups() }
        if !thread.isFinished(withinMilliseconds: 10_000) {
            Issue.record("the backend does not end by itself")
            stop.signal()
            // Where even that does not help, the thread is left behind.
            guard thread.isFinished(withinMilliseconds: 10_000) else { return .timedOut }
        }
        return thread.join()
    }

    /// Sends a message put together by hand, and asks for word of how it went.
    ///
    /// - Returns: the number of the answer.
    func send(
        code: UInt32, payload: [UInt8], descriptors: [FileDescriptor] = []
    ) throws -> UInt64 {
        let socket = try #require(socket)
        try socket.send(
            code: code, flags: .needsReply, payload: payload, descriptors: descriptors, .short)
        let reply = try socket.receive(.short)
        #expect(reply.header.code == code)
        #expect(reply.header.flags == [.version1, .reply])
        var reader = PayloadReader(reply.payload)
        let number = reader.read(UInt64.self)
        #expect(reader.isAtEnd)
        return try #require(number)
    }

    func send(_ request: FrontendRequest, _ descriptors: [FileDescriptor] = []) throws -> UInt64 {
        try send(
            code: request.code.rawValue, payload: request.payload, descriptors: descriptors)
    }
}

extension Patience {
    /// Long enough for a busy machine, short enough for a test that fails.
    static var short: Patience { Patience(milliseconds: 10_000) }
}

extension Logger {
    static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}
