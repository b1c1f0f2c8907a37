import Glibc
import SharedMemory
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import VhostUser

/// Messages that a frontend should not send. Each is answered in the negative and changes nothing;
/// the connection goes on, and nothing is left open or mapped.
@Suite struct VhostUserHostileFrontendTests {
    private func makeStand() throws -> (BackendStand, GuestMemory) {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        #expect(try stand.send(.setFeatures([.version1, .protocolFeatures])) == 0)
        return (stand, guest)
    }

    /// CVE-2020-10723 and others.
    @Test(arguments: [4, 5, 255, 256, 0x8000_0000, .max] as [UInt32])
    func queueIndexIsChecked(index: UInt32) throws {
        let (stand, guest) = try makeStand()
        #expect(try stand.send(.setMemoryTable([guest.description]), [guest.descriptor]) == 0)
        #expect(try stand.send(.setVringSize(VringState(index: index, value: 64))) != 0)
        #expect(try stand.send(.setVringBase(VringState(index: index, value: 0))) != 0)
        #expect(try stand.send(.setVringEnabled(VringState(index: index, value: 1))) != 0)
        var addresses = guest.addresses()
        addresses.index = index
        #expect(try stand.send(.setVringAddresses(addresses)) != 0)
        guard index < 256 else { return }
        let event = try EventDescriptor()
        let vring = VringDescriptor(index: UInt8(index), isAttached: true)
        for request in [
            FrontendRequest.setVringKick(vring), .setVringCall(vring), .setVringError(vring),
        ] {
            #expect(try stand.send(request, [event.fileDescriptor]) != 0)
            #expect(openDescriptorCount(of: event.fileDescriptor) == 1)
        }
        #expect(stand.device.takeCalls() == [])
    }

    @Test(arguments: [0, 3, 65, 512, 0x8000, 0x1_0000, 0x8000_0000, .max] as [UInt32])
    func queueSizeIsChecked(size: UInt32) throws {
        let (stand, _) = try makeStand()
        #expect(try stand.send(.setVringSize(VringState(index: 0, value: size))) != 0)
    }

    @Test func ringsOutsideTheMemoryAreRefused() throws {
        let (stand, guest) = try makeStand()
        // Nothing was given yet.
        #expect(try stand.send(.setVringAddresses(guest.addresses())) != 0)
        #expect(try stand.send(.setMemoryTable([guest.description]), [guest.descriptor]) == 0)
        for field in [
            \VringAddresses.descriptor, \.available, \.used,
        ] as [WritableKeyPath<VringAddresses, UInt64>] {
            for address in [
                0, guest.description.userAddress - 1, .max,
                guest.description.userAddress + guest.description.byteCount,
                guest.description.guestAddress,
            ] {
                var addresses = guest.addresses()
                addresses[keyPath: field] = address
                #expect(try stand.send(.setVringAddresses(addresses)) != 0)
            }
        }
    }

    /// CVE-2018-1059.
    @Test func ringsThatRunOverTheEndOfTheirRegionDoNotStart() throws {
        for field in [
            \VringAddresses.descriptor, \.available, \.used,
        ] as [WritableKeyPath<VringAddresses, UInt64>] {
            let (stand, guest) = try makeStand()
            let second = try GuestMemory(
                at: GuestAddress(GuestMemory.address.rawValue + guest.description.byteCount))
            #expect(
                try stand.send(
                    .setMemoryTable([guest.description, second.description]),
                    [guest.descriptor, second.descriptor]) == 0)
            var addresses = guest.addresses()
            addresses[keyPath: field] =
                guest.description.userAddress + guest.description.byteCount - 16
            #expect(try stand.send(.setVringSize(VringState(index: 0, value: 64))) == 0)
            #expect(try stand.send(.setVringAddresses(addresses)) == 0)
            #expect(
                try stand.send(.setVringKick(VringDescriptor(index: 0, isAttached: false))) == 0)
            #expect(try stand.send(.setVringEnabled(VringState(index: 0, value: 1))) != 0)
            #expect(stand.device.takeCalls() == [])
        }
    }

    @Test func regionsThatAreNoneAreRefused() throws {
        let (stand, guest) = try makeStand()
        let size = guest.description.byteCount
        var cases: [RegionDescription] = []
        for (offset, byteCount) in [
            (0, 0), (0, size + 1), (1, size), (size, 1), (.max, 1), (1, .max), (4096, .max),
            (.max, .max), (0, 1 << 63), (1 << 63, 4096),
        ] as [(UInt64, UInt64)] {
            var description = guest.description
            (description.mmapOffset, description.byteCount) = (offset, byteCount)
            cases.append(description)
        }
        for field in [
            \RegionDescription.guestAddress, \.userAddress,
        ] as [WritableKeyPath<RegionDescription, UInt64>] {
            var description = guest.description
            description[keyPath: field] = .max - 4096
            cases.append(description)
        }
        for description in cases {
            #expect(try stand.send(.setMemoryTable([description]), [guest.descriptor]) != 0)
            #expect(try stand.send(.addRegion(description), [guest.descriptor]) != 0)
        }
        #expect(guest.mappingCount == 1)
        #expect(guest.descriptorCount == 1)
    }

    @Test func regionsThatOverlapAreRefused() throws {
        let (stand, guest) = try makeStand()
        var second = guest.description
        second.guestAddress += second.byteCount - 1
        second.userAddress += 1 << 40
        #expect(
            try stand.send(
                .setMemoryTable([guest.description, second]), [guest.descriptor, guest.descriptor])
                != 0)
        #expect(guest.mappingCount == 1)
        #expect(try stand.send(.addRegion(guest.description), [guest.descriptor]) == 0)
        #expect(try stand.send(.addRegion(second), [guest.descriptor]) != 0)
        #expect(try stand.send(.addRegion(guest.description), [guest.descriptor]) != 0)
        #expect(guest.mappingCount == 2)
        #expect(guest.descriptorCount == 2)
    }

    @Test func memoryThatCannotBeMappedIsRefused() throws {
        let (stand, guest) = try makeStand()
        let event = try EventDescriptor()
        #expect(try stand.send(.addRegion(guest.description), [event.fileDescriptor]) != 0)
        let file = try TemporaryFile([UInt8](repeating: 0, count: 1 << 20))
        let readOnly = try file.reopened(.readOnly)
        defer { try? readOnly.close() }
        #expect(try stand.send(.addRegion(guest.description), [readOnly]) != 0)
        #expect(openDescriptorCount(of: event.fileDescriptor) == 1)
        #expect(openDescriptorCount(of: file.descriptor) == 2)
    }

    @Test func kickCallAndErrorMustBeEventDescriptors() throws {
        let (stand, guest) = try makeStand()
        let vring = VringDescriptor(index: 0, isAttached: true)
        for request in [
            FrontendRequest.setVringKick(vring), .setVringCall(vring), .setVringError(vring),
        ] {
            #expect(try stand.send(request, [guest.descriptor]) != 0)
        }
        #expect(try stand.send(.setLogDescriptor, [guest.descriptor]) != 0)
        #expect(guest.descriptorCount == 1)
    }

    @Test func wrongNumbersOfDescriptorsAreRefusedAndClosed() throws {
        let (stand, guest) = try makeStand()
        let descriptor = guest.descriptor
        for request in VhostUserFrontendRequestTests.requests where !request.code.hasReply {
            for count in 0...8 where !request.descriptorCounts.contains(count) {
                let attached = [FileDescriptor](repeating: descriptor, count: count)
                #expect(try stand.send(request, attached) != 0, "\(request) with \(count)")
            }
        }
        #expect(guest.descriptorCount == 1)
    }

    @Test(arguments: [9, 32]) func moreDescriptorsThanAnyMessageHasAreClosed(count: Int) throws {
        let (stand, guest) = try makeStand()
        try stand.sendRaw(.setOwner, [Int32](repeating: guest.descriptor.rawValue, count: count))
        let reply = try #require(stand.socket).receive(.short)
        #expect(reply.payload.first == 1)
        #expect(guest.descriptorCount == 1)
        // The connection goes on.
        #expect(try stand.send(.setOwner) == 0)
    }

    @Test func nineDescriptorsAreNotTakenForEight() throws {
        let (stand, guest) = try makeStand()
        let eight = (0..<8 as Range<UInt64>).map { index in
            var description = guest.description
            description.guestAddress += index << 32
            description.userAddress += index << 32
            return description
        }
        for count in [8, 9] {
            try stand.sendRaw(
                .setMemoryTable(eight),
                [Int32](repeating: guest.descriptor.rawValue, count: count))
            let reply = try #require(stand.socket).receive(.short)
            #expect(reply.payload.first == (count == 8 ? 0 : 1))
            #expect(guest.descriptorCount == 9)
        }
    }

    @Test func descriptorsInTheMidstOfAMessageAreClosed() throws {
        let (stand, guest) = try makeStand()
        let request = FrontendRequest.setMemoryTable([guest.description])
        let header = MessageHeader(
            code: request.code.rawValue, flags: [.version1, .needsReply],
            payloadByteCount: UInt32(request.payload.count)
        ).bytes
        try stand.sendBytes(Array(header[..<5]), [guest.descriptor])
        try stand.sendBytes(Array(header[5...]), [guest.descriptor])
        try stand.sendBytes(request.payload, [guest.descriptor, guest.descriptor])
        let reply = try #require(stand.socket).receive(.short)
        #expect(reply.payload.first == 0)
        #expect(guest.descriptorCount == 2)
        #expect(guest.mappingCount == 2)
    }

    @Test func descriptorsOfAMessageCutShortAreClosed() throws {
        let (stand, guest) = try makeStand()
        let header = MessageHeader(code: 37, flags: .version1, payloadByteCount: 40)
        try stand.sendBytes(header.bytes, [guest.descriptor])
        #expect(stand.finish() == .truncated)
        #expect(guest.descriptorCount == 1)
    }

    @Test func descriptorsOfAMessageThatIsTooLongAreClosed() throws {
        let (stand, guest) = try makeStand()
        let header = MessageHeader(code: 5, flags: .version1, payloadByteCount: 5000)
        try stand.sendBytes(header.bytes, [guest.descriptor])
        #expect(stand.waitForEnd() == .malformed(.payloadTooLong(5000)))
        #expect(guest.descriptorCount == 1)
    }

    /// CVE-2019-14818, CVE-2020-10726, CVE-2022-0669.
    @Test func repeatedMessagesLeaveNothingBehind() throws {
        let (stand, guest) = try makeStand()
        let frontend = try stand.frontend()
        let (kick, log) = (try EventDescriptor(), try GuestMemory(byteCount: 8192))
        let vring = VringDescriptor(index: 0, isAttached: true)
        let inflight = InflightDescription(
            byteCount: 8192, mmapOffset: 0, queueCount: 1, queueSize: 64)
        let (own, theirs) = try MessageSocket.makePair()
        for _ in 0..<40 {
            #expect(try stand.send(.setMemoryTable([guest.description]), [guest.descriptor]) == 0)
            #expect(try stand.send(.addRegion(guest.description), [guest.descriptor]) != 0)
            for request in [
                FrontendRequest.setVringKick(vring), .setVringCall(vring), .setVringError(vring),
            ] {
                #expect(try stand.send(request, [kick.fileDescriptor]) == 0)
            }
            #expect(try stand.send(.setLogDescriptor, [kick.fileDescriptor]) == 0)
            #expect(try stand.send(.setInflight(inflight), [log.descriptor]) == 0)
            #expect(
                try stand.send(
                    .setLogBase(LogDescription(byteCount: 4096, mmapOffset: 0)), [log.descriptor])
                    == 0)
            #expect(try stand.send(.setBackendChannel, [theirs.fileDescriptor]) == 0)
        }
        #expect(guest.descriptorCount == 2)
        #expect(guest.mappingCount == 2)
        #expect(log.descriptorCount == 3)
        #expect(log.mappingCount == 3)
        #expect(openDescriptorCount(of: kick.fileDescriptor) == 4)
        #expect(openDescriptorCount(of: theirs.fileDescriptor) == 2)
        extendLifetime((frontend, own))
        stand.stop.signal()
        #expect(stand.waitForEnd() == nil)
        #expect(guest.descriptorCount == 1)
        #expect(guest.mappingCount == 1)
        #expect(log.mappingCount == 1)
        #expect(openDescriptorCount(of: kick.fileDescriptor) == 1)
        #expect(openDescriptorCount(of: theirs.fileDescriptor) == 1)
    }
}
