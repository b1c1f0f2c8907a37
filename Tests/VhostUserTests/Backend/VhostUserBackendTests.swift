import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

/// What frontends and the backend say to each other, apart from queues and memory.
@Suite struct VhostUserBackendTests {
    @Test func offersAreTheDevicesAndTheProtocols() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated(features: [.version1, .inOrder])
        #expect(frontend.offeredFeatures == stand.device.features.union(.protocolFeatures))
        #expect(frontend.features == [.version1, .protocolFeatures])
        #expect(frontend.protocolFeatures == .all)
        #expect(try frontend.queueCountMax() == 4)
    }

    @Test func statusIsNotOfferedByDefaultNorIsALogThatTheDeviceHasNot() {
        let device = MockDevice(features: [.version1])
        let backend = VhostUserBackend(device: device, logger: .silent)
        #expect(
            backend.protocolFeatures == ProtocolFeatures.all.subtracting([.status, .logDescriptor]))
    }

    @Test func featuresThatWereNotOfferedAreRefused() throws {
        let stand = try BackendStand(protocolFeatures: [.replyAcknowledgement])
        #expect(try stand.send(.setProtocolFeatures(.replyAcknowledgement)) == 0)
        #expect(try stand.send(.setFeatures([.version1, .inOrder])) != 0)
        #expect(try stand.send(.setFeatures([.version1])) == 0)
        #expect(try stand.send(.setProtocolFeatures([.replyAcknowledgement, .status])) != 0)
        #expect(stand.finish() == nil)
    }

    @Test func requestsOfExtensionsThatWereNotOfferedAreRefused() throws {
        let stand = try BackendStand(protocolFeatures: [.replyAcknowledgement])
        #expect(try stand.send(.setProtocolFeatures(.replyAcknowledgement)) == 0)
        #expect(try stand.send(.resetDevice) != 0)
        #expect(try stand.send(.setStatus(1)) != 0)
        #expect(try stand.send(.removeRegion(FrontendRequestSamples.region)) != 0)
        #expect(stand.device.takeCalls() == [])
    }

    @Test func ownerMessagesChangeNothing() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        try frontend.startQueue(
            0, guest.configuration(), at: .start(isPacked: false), kick: nil, call: nil)
        #expect(try stand.send(.setOwner) == 0)
        #expect(try stand.send(.resetOwner) == 0)
        #expect(stand.device.running.count == 1)
    }

    @Test func unknownRequestIsAnsweredWhereAnAnswerWasAskedFor() throws {
        let stand = try BackendStand()
        #expect(try stand.send(.setProtocolFeatures(.replyAcknowledgement)) == 0)
        #expect(try stand.send(code: 1000, payload: [1, 2, 3]) != 0)
        #expect(try stand.send(code: 22, payload: [UInt8](repeating: 0, count: 8)) != 0)
        // The connection goes on.
        #expect(try stand.send(.setOwner) == 0)
        #expect(stand.finish() == nil)
    }

    @Test func unknownRequestThatWantsNoAnswerEndsTheConnection() throws {
        let stand = try BackendStand()
        try stand.socket?.send(code: 1000, flags: [], payload: [], .short)
        #expect(stand.waitForEnd() == .malformed(.unknownRequest(1000)))
    }

    @Test func answersAreGivenOnlyOnceTheyWereAgreedOn() throws {
        let stand = try BackendStand()
        try stand.socket?.send(code: 1000, flags: .needsReply, payload: [], .short)
        #expect(stand.waitForEnd() == .malformed(.unknownRequest(1000)))
    }

    @Test func failureThatNobodyAsksAboutEndsTheConnection() throws {
        let stand = try BackendStand()
        let request = FrontendRequest.setVringSize(VringState(index: 99, value: 64))
        try stand.socket?.send(
            code: request.code.rawValue, flags: [], payload: request.payload, .short)
        #expect(stand.waitForEnd() == .refused(.setVringSize, .queueOutOfRange(99)))
        #expect(stand.device.takeCalls() == [])
    }

    @Test func failureOfARequestWithAnAnswerOfItsOwnEndsTheConnection() throws {
        let stand = try BackendStand()
        #expect(try stand.send(.setProtocolFeatures(.replyAcknowledgement)) == 0)
        let request = FrontendRequest.getVringBase(VringState(index: 4, value: 0))
        try stand.socket?.send(
            code: request.code.rawValue, flags: .needsReply, payload: request.payload, .short)
        #expect(stand.waitForEnd() == .refused(.getVringBase, .queueOutOfRange(4)))
    }

    @Test func messageWithAnAnswerOfItsOwnHasNoOther() throws {
        let stand = try BackendStand()
        #expect(try stand.send(.setProtocolFeatures(.replyAcknowledgement)) == 0)
        #expect(try stand.send(.getFeatures) == stand.device.features.rawValue | 1 << 30)
        // If there were a second answer, it would be taken for the one to this.
        #expect(try stand.send(.getQueueCount) == 4)
    }

    @Test func replyIsNoRequest() throws {
        let stand = try BackendStand()
        try stand.socket?.send(code: 3, flags: .reply, payload: [], .short)
        #expect(stand.waitForEnd() == .malformed(.notARequest(3)))
    }

    @Test(arguments: [0, 2, 3] as [UInt32]) func otherVersionsEndTheConnection(version: UInt32)
        throws
    {
        let stand = try BackendStand()
        try stand.sendBytes(
            MessageHeader(
                code: 1, flags: MessageHeader.Flags(rawValue: version), payloadByteCount: 0
            ).bytes)
        #expect(stand.waitForEnd() == .malformed(.version(version)))
    }

    @Test func payloadThatIsTooLongIsNotRead() throws {
        let stand = try BackendStand()
        try stand.sendBytes(
            MessageHeader(code: 3, flags: .version1, payloadByteCount: 0xffff_fff0).bytes)
        #expect(stand.waitForEnd() == .malformed(.payloadTooLong(0xffff_fff0)))
    }

    @Test(arguments: [1, 11, 12, 19]) func endInTheMidstOfAMessageIsAnError(byteCount: Int) throws {
        let stand = try BackendStand()
        let header = MessageHeader(code: 2, flags: .version1, payloadByteCount: 8)
        try stand.sendBytes(
            Array((header.bytes + [UInt8](repeating: 0, count: 8)).prefix(byteCount)))
        #expect(stand.finish() == .truncated)
    }

    @Test func messageInPiecesIsOne() throws {
        let stand = try BackendStand()
        let request = FrontendRequest.getQueueCount
        let bytes = MessageHeader(
            code: request.code.rawValue, flags: .version1, payloadByteCount: 0
        ).bytes
        for byte in bytes { try stand.sendBytes([byte]) }
        let reply = try #require(stand.socket).receive(.short)
        #expect(reply.payload.first == 4)
    }

    @Test func eachFrontendBeginsWithNothingSet() throws {
        let device = MockDevice()
        let guest = try GuestMemory()
        let backend = VhostUserBackend(device: device, protocolFeatures: .all, logger: .silent)
        for _ in 0..<3 {
            let stand = try BackendStand(device, backend: backend)
            let frontend = try stand.negotiated()
            // Nothing of the frontend before is left: its ring would be complete otherwise.
            try frontend.setMemory(guest.map)
            try frontend.setQueueEnabled(1, true)
            #expect(device.running.isEmpty)
            #expect(device.takeCalls() == [])
            try frontend.startQueue(
                0, guest.configuration(), at: .start(isPacked: false), kick: EventDescriptor(),
                call: nil
            )
            #expect(device.takeCalls() == [.start(0)])
            #expect(device.setup(0)?.position == .start(isPacked: false))
            #expect(guest.mappingCount == 2)
            withExtendedLifetime(frontend) { stand.stop.signal() }
            #expect(stand.finish() == nil)
            // What the driver has chosen is the device's to keep.
            #expect(device.takeCalls() == [.stop(0)])
            #expect(guest.mappingCount == 1)
            #expect(guest.descriptorCount == 1)
        }
    }

    @Test func stopEndsAWaitForTheNextMessage() throws {
        let stand = try BackendStand()
        _ = try stand.negotiated()
        stand.stop.signal()
        #expect(stand.waitForEnd() == nil)
    }

    @Test func stopEndsAWaitForTheRestOfAMessage() throws {
        let stand = try BackendStand()
        try stand.sendBytes([1, 0, 0, 0, 1])
        stand.stop.signal()
        #expect(stand.waitForEnd() == nil)
    }

    @Test func stopEndsAWaitForAFrontendThatDoesNotRead() throws {
        let stand = try BackendStand()
        let socket = try #require(stand.socket)
        // Until neither side's buffer has room for more.
        #expect(throws: VhostUserError.timedOut) {
            while true {
                try socket.send(code: 1, flags: [], payload: [], Patience(milliseconds: 300))
            }
        }
        stand.stop.signal()
        #expect(stand.waitForEnd() == nil)
    }

    @Test func stopComesBeforeMessagesThatWait() throws {
        let (own, theirs) = try MessageSocket.makePair()
        try own.send(code: 1000, flags: [], payload: [], .short)
        let stop = try EventDescriptor()
        stop.signal()
        let backend = VhostUserBackend(device: MockDevice(), logger: .silent)
        // It would fail at the message.
        try backend.serve(theirs.fileDescriptor.duplicate(), until: stop)
    }

    @Test func connectionHasTwoLinesAndEachFailingRequestOne() throws {
        let log = LineLog()
        let stand = try BackendStand(logger: log.logger)
        #expect(try stand.send(.setProtocolFeatures(.replyAcknowledgement)) == 0)
        for _ in 0..<5 {
            #expect(try stand.send(.setVringSize(VringState(index: 9, value: 64))) != 0)
            #expect(try stand.send(code: 1000, payload: []) != 0)
            #expect(try stand.send(code: 1001, payload: []) != 0)
        }
        #expect(stand.finish() == nil)
        #expect(
            log.lines == [
                "info: frontend connected",
                "warning: setVringSize refused: there is no queue 9",
                "warning: malformed message: request 1000 is unknown",
                "info: frontend disconnected: the peer closed the connection",
            ])
    }

    @Test func socketThatIsNoneIsRefusedAndClosed() throws {
        let event = try EventDescriptor()
        let copy = try event.fileDescriptor.duplicate()
        let backend = VhostUserBackend(device: MockDevice(), logger: .silent)
        #expect(throws: VhostUserError.notASocket) { try backend.serve(copy, until: event) }
        #expect(openDescriptorCount(of: event.fileDescriptor) == 1)
    }
}

enum FrontendRequestSamples {
    static let region = RegionDescription(
        guestAddress: 0x1000, byteCount: 0x2000, userAddress: 0x7f00_0000_1000, mmapOffset: 0)
}

extension BackendStand {
    /// Sends bytes that need not be a message.
    func sendBytes(_ bytes: [UInt8], _ descriptors: [FileDescriptor] = []) throws {
        let socket = try #require(socket)
        let sent = try MessageSocket.send(
            bytes[...], descriptors, to: socket.fileDescriptor, .short)
        #expect(sent == bytes.count)
    }
}
