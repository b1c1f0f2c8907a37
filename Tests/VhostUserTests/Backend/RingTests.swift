import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

/// When a ring runs and when it does not, and with what.
@Suite struct VhostUserRingTests {
    /// A stand whose memory is set, with all answers asked for.
    private func makeStand(
        _ features: VirtioFeatures = [.version1, .protocolFeatures]
    ) throws -> (BackendStand, GuestMemory) {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        #expect(try stand.send(.setFeatures(features)) == 0)
        #expect(try stand.send(.setMemoryTable([guest.description]), [guest.descriptor]) == 0)
        return (stand, guest)
    }

    @Test func ringStartsWithTheLastOfItsSettingsWhicheverThatIs() throws {
        let (_, guest) = try makeStand()
        let kick = try EventDescriptor()
        let settings: [(FrontendRequest, [FileDescriptor])] = [
            (.setVringSize(VringState(index: 1, value: 128)), []),
            (.setVringAddresses(guest.addresses(1)), []),
            (.setVringKick(VringDescriptor(index: 1, isAttached: true)), [kick.fileDescriptor]),
            (.setVringEnabled(VringState(index: 1, value: 1)), []),
        ]
        for last in settings.indices {
            let (stand, guest) = try makeStand()
            var order = settings
            order[1].0 = .setVringAddresses(guest.addresses(1))
            order.append(order.remove(at: last))
            for (request, descriptors) in order.dropLast() {
                #expect(try stand.send(request, descriptors) == 0)
            }
            #expect(stand.device.takeCalls() == [])
            #expect(try stand.send(order[3].0, order[3].1) == 0)
            #expect(stand.device.takeCalls() == [.start(1)])
            let setup = try #require(stand.device.setup(1))
            #expect(setup.configuration.size == 128)
            let start = GuestMemory.address.rawValue + 0x10000
            #expect(setup.configuration.descriptorArea == GuestAddress(start))
            #expect(setup.configuration.driverArea == GuestAddress(start + 0x2000))
            #expect(setup.configuration.deviceArea == GuestAddress(start + 0x4000))
            #expect(setup.configuration.features == [.version1])
            #expect(setup.position == .start(isPacked: false))
            #expect(!setup.startsUnkicked)
            #expect(setup.call == nil)
            #expect(setup.inflight == nil)
        }
    }

    @Test func ringIsGivenItsOwnEvents() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        let (kick, call, error) = (
            try EventDescriptor(), try EventDescriptor(), try EventDescriptor()
        )
        try frontend.startQueue(
            0, guest.configuration(), at: QueuePosition(available: 500, used: 500), kick: kick,
            call: call, error: error)
        let setup = try #require(stand.device.setup(0))
        #expect(setup.position.available == 500)
        kick.signal()
        #expect(setup.kick?.clear() == true)
        setup.call?.signal()
        #expect(call.clear())
        #expect(!error.clear())
        stand.device.raiseFault(0, .chainTooLong)
        #expect(error.clear())
        #expect(!call.clear())
    }

    @Test func polledRingLooksAtOnce() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        try frontend.startQueue(
            0, guest.configuration(), at: .start(isPacked: false), kick: nil, call: nil)
        let setup = try #require(stand.device.setup(0))
        #expect(setup.kick == nil)
        #expect(setup.startsUnkicked)
    }

    @Test func frontendWithoutExtensionsNeedsToEnableNothing() throws {
        let (stand, guest) = try makeStand([.version1])
        #expect(try stand.send(.setVringSize(VringState(index: 0, value: 64))) == 0)
        #expect(try stand.send(.setVringAddresses(guest.addresses())) == 0)
        #expect(try stand.send(.setVringKick(VringDescriptor(index: 0, isAttached: false))) == 0)
        #expect(stand.device.takeCalls() == [.start(0)])
        // It never disables a ring, whatever is agreed on later.
        #expect(try stand.send(.setFeatures([.version1, .protocolFeatures])) == 0)
        #expect(stand.device.running[0] != nil)
    }

    @Test func baseStopsARingUntilItHasANewKick() throws {
        let (stand, guest) = try makeStand()
        let frontend = try stand.frontend()
        let kick = try EventDescriptor()
        try stand.startRing(guest, kick)
        stand.device.setProgress(7)
        #expect(try frontend.stopQueue(0).available == 7)
        #expect(stand.device.takeCalls() == [.start(0), .stop(0)])
        // The kick was let go, and enabling does not bring the ring back.
        #expect(openDescriptorCount(of: kick.fileDescriptor) == 2, "this, and the last set-up's")
        #expect(try stand.send(.setVringEnabled(VringState(index: 0, value: 1))) == 0)
        #expect(stand.device.takeCalls() == [])
        #expect(try frontend.stopQueue(0).available == 7)
        // It goes on where it was, and waits for a kick again.
        let vring = VringDescriptor(index: 0, isAttached: true)
        #expect(try stand.send(.setVringKick(vring), [kick.fileDescriptor]) == 0)
        #expect(stand.device.takeCalls() == [.start(0)])
        #expect(stand.device.setup(0)?.position.available == 7)
        #expect(stand.device.setup(0)?.startsUnkicked == false)
    }

    @Test func disabledRingKeepsItsPlaceAndItsKick() throws {
        let (stand, guest) = try makeStand()
        try stand.startRing(guest, EventDescriptor())
        stand.device.setProgress(3)
        #expect(try stand.send(.setVringEnabled(VringState(index: 0, value: 0))) == 0)
        #expect(stand.device.takeCalls() == [.start(0), .stop(0)])
        #expect(try stand.send(.setVringEnabled(VringState(index: 0, value: 1))) == 0)
        #expect(stand.device.takeCalls() == [.start(0)])
        let setup = try #require(stand.device.setup(0))
        #expect(setup.position.available == 3)
        // It may have taken a kick and not looked.
        #expect(setup.startsUnkicked)
    }

    @Test func enabledStateOutlivesAStop() throws {
        let (stand, guest) = try makeStand()
        let frontend = try stand.frontend()
        try stand.startRing(guest, EventDescriptor())
        #expect(try stand.send(.setVringEnabled(VringState(index: 0, value: 0))) == 0)
        _ = try frontend.stopQueue(0)
        let vring = VringDescriptor(index: 0, isAttached: false)
        #expect(try stand.send(.setVringKick(vring)) == 0)
        #expect(stand.device.running.isEmpty)
        #expect(try stand.send(.setVringEnabled(VringState(index: 0, value: 1))) == 0)
        #expect(stand.device.running.count == 1)
    }

    @Test func featuresThatAreNotNewStopNothing() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        try frontend.startQueue(
            0, guest.configuration(), at: .start(isPacked: false), kick: EventDescriptor(),
            call: nil)
        #expect(stand.device.takeCalls() == [.start(0)])
        try frontend.setFeatures(frontend.features)
        #expect(stand.device.takeCalls() == [])
        try frontend.setFeatures(frontend.features.subtracting(.eventIndex))
        #expect(stand.device.takeCalls() == [.stop(0), .start(0)])
    }

    @Test func callIsChangedWithoutAStop() throws {
        let (stand, guest) = try makeStand()
        let call = try EventDescriptor()
        let attached = FrontendRequest.setVringCall(VringDescriptor(index: 0, isAttached: true))
        #expect(try stand.send(attached, [call.fileDescriptor]) == 0)
        #expect(stand.device.takeCalls() == [])
        try stand.startRing(guest, EventDescriptor())
        #expect(stand.device.takeCalls() == [.start(0)])
        stand.device.setup(0)?.call?.signal()
        #expect(call.clear())
        let none = FrontendRequest.setVringCall(VringDescriptor(index: 0, isAttached: false))
        #expect(try stand.send(none) == 0)
        #expect(try stand.send(attached, [call.fileDescriptor]) == 0)
        #expect(
            stand.device.takeCalls() == [.setCall(0, isNil: true), .setCall(0, isNil: false)])
    }

    @Test func settingsOfARunningRingAreChangedWhileItIsStopped() throws {
        let (stand, guest) = try makeStand()
        try stand.startRing(guest, EventDescriptor())
        _ = stand.device.takeCalls()
        stand.device.setProgress(2)
        #expect(try stand.send(.setVringAddresses(guest.addresses(offset: 0x8000))) == 0)
        #expect(stand.device.takeCalls() == [.stop(0), .start(0)])
        let setup = try #require(stand.device.setup(0))
        #expect(
            setup.configuration.descriptorArea
                == GuestAddress(GuestMemory.address.rawValue + 0x8000))
        #expect(setup.position.available == 2)
        #expect(setup.startsUnkicked)
    }

    @Test func packedRingHasTwoPlaces() throws {
        let (stand, guest) = try makeStand([.version1, .protocolFeatures, .packedRing])
        let base = FrontendRequest.setVringBase(VringState(index: 0, value: 0x0005_8006))
        #expect(try stand.send(base) == 0)
        try stand.startRing(guest, EventDescriptor())
        let setup = try #require(stand.device.setup(0))
        #expect(setup.configuration.isPacked)
        #expect(setup.position == QueuePosition(available: 0x8006, used: 5))
        stand.device.setProgress(1)
        let socket = try #require(stand.socket)
        let request = FrontendRequest.getVringBase(VringState(index: 0, value: 0))
        try socket.send(
            code: request.code.rawValue, flags: [], payload: request.payload, .short)
        var reader = PayloadReader(try socket.receive(.short).payload)
        #expect(VringState(&reader) == VringState(index: 0, value: 0x0006_8007))
    }

    @Test func baseOfASplitRingHasNoUpperHalf() throws {
        let (stand, _) = try makeStand()
        let base = FrontendRequest.setVringBase(VringState(index: 0, value: 0x1_0000))
        #expect(try stand.send(base) != 0)
    }

    @Test func ringThatTheDeviceRefusesDoesNotRun() throws {
        let (stand, guest) = try makeStand()
        stand.device.failStarts(with: .fault(.invalidAddress(area: "used")))
        let error = try EventDescriptor()
        let vring = VringDescriptor(index: 0, isAttached: true)
        #expect(try stand.send(.setVringError(vring), [error.fileDescriptor]) == 0)
        #expect(try stand.send(.setVringSize(VringState(index: 0, value: 64))) == 0)
        #expect(try stand.send(.setVringAddresses(guest.addresses())) == 0)
        #expect(try stand.send(.setVringEnabled(VringState(index: 0, value: 1))) == 0)
        #expect(try stand.send(.setVringKick(VringDescriptor(index: 0, isAttached: false))) != 0)
        #expect(error.clear())
        #expect(stand.device.running.isEmpty)
        _ = stand.device.takeCalls()
        stand.device.failStarts(with: nil)
        #expect(try stand.send(.setVringAddresses(guest.addresses())) == 0)
        #expect(stand.device.takeCalls() == [.start(0)])
        #expect(stand.finish() == nil)
        #expect(stand.device.takeCalls() == [.stop(0)])
    }

    @Test func queueThatStoppedItselfIsTakenBack() throws {
        let (stand, guest) = try makeStand()
        let frontend = try stand.frontend()
        try stand.startRing(guest, EventDescriptor())
        stand.device.raiseFault(0, .tooManyChains)
        _ = try frontend.stopQueue(0)
        #expect(stand.device.takeCalls() == [.start(0), .stop(0)])
        try stand.startRing(guest, EventDescriptor())
        #expect(stand.device.takeCalls() == [.start(0)])
    }

    @Test func faultsOfAQueueAreLoggedOnce() throws {
        let log = LineLog()
        let alarm = QueueAlarm(queue: 3, logger: log.logger)
        let event = try EventDescriptor()
        alarm.set(event)
        for _ in 0..<3 {
            alarm.raise(.chainTooLong)
            #expect(event.clear())
        }
        #expect(log.lines == ["error: queue 3 stopped: chainTooLong"])
    }
}

extension BackendStand {
    /// Sets all of ring 0, enabled, in a guest whose memory was sent.
    func startRing(_ guest: GuestMemory, _ kick: EventDescriptor) throws {
        #expect(try send(.setVringSize(VringState(index: 0, value: 64))) == 0)
        #expect(try send(.setVringAddresses(guest.addresses())) == 0)
        let vring = VringDescriptor(index: 0, isAttached: true)
        #expect(try send(.setVringKick(vring), [kick.fileDescriptor]) == 0)
        #expect(try send(.setVringEnabled(VringState(index: 0, value: 1))) == 0)
    }
}
