import Glibc
import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

/// The configuration space, the device's state, the log, and the backend's own requests.
@Suite struct VhostUserBackendRequestsTests {
    @Test func configurationIsReadInParts() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        #expect(try frontend.configuration(at: 0, byteCount: 60) == (0..<60).map { UInt8($0) })
        #expect(try frontend.configuration(at: 20, byteCount: 1) == [20])
        #expect(try frontend.configuration(at: 58, byteCount: 4) == [58, 59, 0, 0])
    }

    @Test func answerToARequestOfConfigurationIsAsLongAsTheRequest() throws {
        let stand = try BackendStand()
        let request = FrontendRequest.getConfiguration(
            ConfigurationPart(offset: 4, bytes: [UInt8](repeating: 9, count: 17)))
        let socket = try #require(stand.socket)
        try socket.send(code: 24, flags: [], payload: request.payload, .short)
        let reply = try socket.receive(.short)
        #expect(reply.payload.count == request.payload.count)
        #expect(Array(reply.payload.prefix(12)) == Array(request.payload.prefix(12)))
        #expect(Array(reply.payload.dropFirst(12)) == (4..<21).map { UInt8($0) })
    }

    @Test func configurationBeyondTheEndIsAnsweredWithNothing() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        #expect(throws: VhostUserError.failed(.getConfiguration)) {
            try frontend.configuration(at: 61, byteCount: 1)
        }
        // The connection goes on.
        #expect(try frontend.configuration(at: 1, byteCount: 1) == [1])
    }

    @Test func onlyWhatIsTheDriversToWriteIsWritten() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        try frontend.setConfiguration([1], at: 32)
        #expect(try frontend.configuration(at: 32, byteCount: 1) == [1])
        #expect(throws: VhostUserError.failed(.setConfiguration)) {
            try frontend.setConfiguration([1], at: 0)
        }
        #expect(try frontend.configuration(at: 0, byteCount: 1) == [0])
    }

    @Test func migrationRestoresWhatIsSoAlready() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        try frontend.setConfiguration([7], at: 32, isMigration: true)
        #expect(try frontend.configuration(at: 32, byteCount: 1) == [7])
        try frontend.setConfiguration([3, 4], at: 3, isMigration: true)
        #expect(throws: VhostUserError.failed(.setConfiguration)) {
            try frontend.setConfiguration([3, 5], at: 3, isMigration: true)
        }
    }

    @Test func resetOfTheDeviceForgetsQueuesAndKeepsMemory() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        let position = QueuePosition(available: 9, used: 9)
        try frontend.startQueue(
            0, guest.configuration(), at: position, kick: EventDescriptor(), call: EventDescriptor()
        )
        #expect(stand.device.takeCalls() == [.start(0)])
        try frontend.resetDevice()
        #expect(stand.device.takeCalls() == [.stop(0), .reset])

        try frontend.setFeatures([.version1, .protocolFeatures])
        try frontend.setQueueEnabled(0, true)
        #expect(stand.device.running.isEmpty)
        #expect(try frontend.stopQueue(0) == .start(isPacked: false))
        try frontend.startQueue(
            0, guest.configuration(), at: .start(isPacked: false), kick: nil, call: nil)
        #expect(stand.device.running[0]?.call == nil)
    }

    @Test func resetOfTheDeviceForgetsFeaturesAndInflightMemory() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated(features: [.version1, .packedRing])
        try frontend.setMemory(guest.map)
        let inflight = try #require(try frontend.makeInflight(queueCount: 1, queueSize: 64))
        try frontend.setInflight(inflight)
        try frontend.resetDevice()
        // No ring is packed any more, so one that was never used begins at zero.
        let reply = try frontend.ask(.getVringBase(VringState(index: 0, value: 0)))
        #expect(reply.payload == [UInt8](repeating: 0, count: 8))
        try frontend.setFeatures([.version1, .protocolFeatures])
        try frontend.startQueue(
            0, guest.configuration(), at: .start(isPacked: false), kick: nil, call: nil)
        #expect(stand.device.setup(0)?.inflight == nil)
    }

    @Test func statusIsKeptAndZeroResets() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        try frontend.setStatus(0xf)
        #expect(try frontend.status() == 0xf)
        #expect(stand.device.takeCalls() == [])
        try frontend.setStatus(0)
        #expect(try frontend.status() == 0)
        #expect(stand.device.takeCalls() == [.reset])
    }

    @Test func packetsLongerThanTheDeviceTakesAreRefused() throws {
        let stand = try BackendStand(MockDevice(mtuMax: 9000))
        let frontend = try stand.negotiated()
        for mtu in [68, 1500, 9000] { try frontend.setMTU(mtu) }
        for mtu in [9001, 65536] {
            #expect(throws: VhostUserError.failed(.setMTU)) { try frontend.setMTU(mtu) }
        }
        let other = try BackendStand(MockDevice(mtuMax: nil)).negotiated()
        #expect(throws: VhostUserError.notNegotiated(.mtu)) { try other.setMTU(1500) }
    }

    @Test func driverIsAnnouncedByADeviceThatCan() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        let address = MACAddress(rawValue: 0x5254_0012_3456)
        try frontend.announce(address)
        #expect(stand.device.takeCalls() == [.announce(address)])
        #expect(throws: VhostUserError.failed(.announce)) { try frontend.announce(.broadcast) }
        #expect(stand.device.takeCalls() == [])
        let other = try BackendStand(MockDevice(canAnnounce: false)).negotiated()
        #expect(throws: VhostUserError.notNegotiated(.announcement)) { try other.announce(address) }
    }

    @Test func announcementThatFailsIsLoggedOnceAndCostsNoConnection() throws {
        let log = LineLog()
        let stand = try BackendStand(logger: log.logger)
        let frontend = try stand.negotiated()
        stand.device.failAnnouncements()
        for _ in 0..<3 {
            #expect(throws: VhostUserError.failed(.announce)) {
                try frontend.announce(MACAddress(rawValue: 0x5254_0012_3456))
            }
        }
        // Frontends do not ask to be told: theirs is a driver that has moved, and is to go on.
        let request = FrontendRequest.announce(MACAddress(rawValue: 0x5254_0012_3456))
        try #require(stand.socket).send(
            code: request.code.rawValue, flags: [], payload: request.payload, .short)
        #expect(try frontend.queueCountMax() == 4)
        #expect(log.lines.count { $0.contains("was not announced") } == 1, "\(log.lines)")
    }

    @Test func logIsHandedToQueuesWhileItIsWanted() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        let kick = try EventDescriptor()
        let configuration = guest.configuration()
        try frontend.startQueue(
            0, configuration, at: .start(isPacked: false), kick: kick, call: nil, logsUsedRing: true
        )
        try frontend.startQueue(
            1, guest.configuration(1), at: .start(isPacked: false), kick: kick, call: nil)
        let log = try HostMemory.window(byteCount: 4096)
        try frontend.setLog(log, byteCount: 100)
        #expect(stand.device.setup(0)?.dirtyLog == nil)
        #expect(stand.device.setup(0)?.usedRingLogAddress == nil)

        _ = stand.device.takeCalls()
        try frontend.setFeatures(frontend.features.union(.logAll))
        #expect(stand.device.takeCalls() == [.stop(0), .stop(1), .start(0), .start(1)])
        #expect(stand.device.setup(0)?.usedRingLogAddress == configuration.deviceArea)
        #expect(stand.device.setup(1)?.usedRingLogAddress == nil)
        let dirtyLog = try #require(stand.device.setup(1)?.dirtyLog)
        dirtyLog.mark(GuestRange(address: GuestAddress(9 * 4096), byteCount: 1))
        #expect(log.load(UInt8.self, at: 1) == 2)
        // The last page of the log, and the one behind it.
        dirtyLog.mark(GuestRange(address: GuestAddress(799 * 4096), byteCount: 8192))
        #expect(log.bytes(at: 99, byteCount: 2) == [0x80, 0])

        try frontend.setFeatures(frontend.features.subtracting(.logAll))
        #expect(stand.device.setup(0)?.dirtyLog == nil)
    }

    @Test(arguments: [
        LogDescription(byteCount: 8193, mmapOffset: 0),
        LogDescription(byteCount: 4097, mmapOffset: 4096),
        LogDescription(byteCount: 0, mmapOffset: 0),
        LogDescription(byteCount: .max, mmapOffset: 4096),
        LogDescription(byteCount: 1, mmapOffset: .max),
        LogDescription(byteCount: 1 << 63, mmapOffset: 0),
    ])
    func logThatIsNotInItsFileEndsTheConnection(description: LogDescription) throws {
        let guest = try GuestMemory(byteCount: 8192)
        let stand = try BackendStand()
        let request = FrontendRequest.setLogBase(description)
        try stand.socket?.send(
            code: 6, flags: [], payload: request.payload, descriptors: [guest.descriptor], .short)
        #expect(
            stand.waitForEnd()
                == .refused(.setLogBase, .system(SystemCallError("mmap", .invalidArgument))))
        #expect(guest.descriptorCount == 1)
        #expect(guest.mappingCount == 1)
    }

    @Test func logIsAnsweredWithoutBeingAsked() throws {
        let guest = try GuestMemory(byteCount: 8192)
        let stand = try BackendStand()
        let socket = try #require(stand.socket)
        let request = FrontendRequest.setLogBase(LogDescription(byteCount: 4096, mmapOffset: 100))
        try socket.send(
            code: 6, flags: [], payload: request.payload, descriptors: [guest.descriptor], .short)
        let reply = try socket.receive(.short)
        #expect(reply.header.code == 6)
        #expect(reply.payload == [UInt8](repeating: 0, count: 8))
        #expect(guest.mappingCount == 2)
    }

    @Test func logEventIsTakenAndLetGo() throws {
        let stand = try BackendStand()
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        let event = try EventDescriptor()
        #expect(try stand.send(.setLogDescriptor, [event.fileDescriptor]) == 0)
        #expect(openDescriptorCount(of: event.fileDescriptor) == 1)
    }

    @Test func changeOfConfigurationReachesTheFrontend() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        #expect(!stand.backend.notifyConfigurationChange())
        let channel = try frontend.openBackendChannel()
        #expect(stand.backend.notifyConfigurationChange())
        var requests: [BackendRequest] = []
        try channel.receive(timeoutMilliseconds: 10_000) {
            requests.append($0)
            return true
        }
        #expect(requests == [.configurationChanged])
    }

    @Test(arguments: [true, false])
    func changeOfConfigurationIsAcknowledged(isSeenTo: Bool) throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        let channel = try frontend.openBackendChannel()
        let backend = stand.backend
        let notification = BackgroundThread {
            backend.notifyConfigurationChange(acknowledgedWithin: 10_000)
        }
        try channel.receive(timeoutMilliseconds: 10_000) { _ in isSeenTo }
        #expect(notification.join() == isSeenTo)
    }

    @Test func frontendThatDoesNotAcknowledgeIsGivenUpOn() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        let channel = try frontend.openBackendChannel()
        #expect(!stand.backend.notifyConfigurationChange(acknowledgedWithin: 20))
        // Its late answer would be taken for that to the next.
        try channel.receive(timeoutMilliseconds: 10_000) { _ in true }
        #expect(!stand.backend.notifyConfigurationChange(acknowledgedWithin: 10_000))
        _ = channel
    }

    @Test func channelOfAFrontendThatIsGoneIsNotUsed() throws {
        let stand = try BackendStand()
        let channel = try stand.negotiated().openBackendChannel()
        #expect(stand.backend.notifyConfigurationChange())
        #expect(stand.finish() == nil)
        #expect(!stand.backend.notifyConfigurationChange())
        #expect(throws: Never.self) {
            try channel.receive(timeoutMilliseconds: 10_000) { _ in true }
        }
        #expect(throws: VhostUserError.closed) {
            try channel.receive(timeoutMilliseconds: 10_000) { _ in true }
        }
    }

    @Test func answersAreNotTakenForWhatNobodyAskedFor() throws {
        let stand = try BackendStand()
        let channel = try stand.negotiated().openBackendChannel()
        let backend = stand.backend
        for _ in 0..<200 {
            let notification = BackgroundThread {
                backend.notifyConfigurationChange(acknowledgedWithin: 10_000)
            }
            try channel.receive(timeoutMilliseconds: 10_000) { _ in true }
            #expect(notification.join())
        }
    }

    @Test(arguments: [true, false])
    func channelWithWhatNobodyAskedForOrThatHasEndedIsGivenUp(hasEnded: Bool) throws {
        let stand = try BackendStand()
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        let (own, theirs) = try MessageSocket.makePair()
        #expect(try stand.send(.setBackendChannel, [theirs.fileDescriptor]) == 0)
        #expect(stand.backend.notifyConfigurationChange())
        if hasEnded {
            shutdownBoth(own)
        } else {
            try own.send(code: 1, flags: .reply, payload: Reply.number(0).payload, .short)
        }
        for _ in 0..<1000 where openDescriptorCount(of: theirs.fileDescriptor) > 1 { usleep(5000) }
        #expect(openDescriptorCount(of: theirs.fileDescriptor) == 1)
        #expect(!stand.backend.notifyConfigurationChange())
        // Features that are set anew do not bring it back.
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        #expect(!stand.backend.notifyConfigurationChange())
        extendLifetime(own)
    }

    @Test func channelThatListensOrLeadsBackIsRefused() throws {
        let stand = try BackendStand()
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        let socket = try #require(stand.socket)
        #expect(try stand.send(.setBackendChannel, [socket.fileDescriptor]) == 1)
        let path = FilePath("/tmp/bounce-test-\(UInt64.random(in: .min ... .max)).sock")
        let listener = try MessageSocket.makeSocket()
        defer {
            try? listener.close()
            _ = unsafe unlink(path.string)
        }
        try MessageSocket.attach(listener, to: path, listening: true)
        #expect(listen(listener.rawValue, 1) == 0)
        #expect(try stand.send(.setBackendChannel, [listener]) == 1)
        #expect(!stand.backend.notifyConfigurationChange())
    }

    @Test func channelThatIsNoSocketIsRefused() throws {
        let stand = try BackendStand()
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        let event = try EventDescriptor()
        #expect(try stand.send(.setBackendChannel, [event.fileDescriptor]) != 0)
        #expect(openDescriptorCount(of: event.fileDescriptor) == 1)
    }
}
