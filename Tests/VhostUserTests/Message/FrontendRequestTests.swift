import TestSupport
import Testing
import VhostUser
import Virtqueue

@Suite struct VhostUserFrontendRequestTests {
    static let region = RegionDescription(
        guestAddress: 0x1000, byteCount: 0x2000, userAddress: 0x7f00_0000_1000, mmapOffset: 0x3000)
    static let inflight = InflightDescription(
        byteCount: 4096, mmapOffset: 64, queueCount: 3, queueSize: 128)
    static let address = MACAddress(rawValue: 0x5254_0012_3456)
    static let part = ConfigurationPart(offset: 8, flags: 1, bytes: [1, 2, 3])

    /// Each request once, with values that differ in every field.
    static let requests: [FrontendRequest] = [
        .getFeatures, .setFeatures([.version1, .eventIndex]), .setOwner, .resetOwner,
        .setMemoryTable([region, region]), .setLogBase(LogDescription(byteCount: 9, mmapOffset: 8)),
        .setLogDescriptor, .setVringSize(VringState(index: 1, value: 256)),
        .setVringAddresses(
            VringAddresses(
                index: 2, flags: 1, descriptor: 3, used: 4, available: 5, log: 0x1_0000_0006)),
        .setVringBase(VringState(index: 1, value: 0x8001_8002)),
        .getVringBase(VringState(index: 1, value: 0)),
        .setVringKick(VringDescriptor(index: 255, isAttached: true)),
        .setVringCall(VringDescriptor(index: 0, isAttached: false)),
        .setVringError(VringDescriptor(index: 7, isAttached: true)),
        .getProtocolFeatures, .setProtocolFeatures([.configuration, .status]), .getQueueCount,
        .setVringEnabled(VringState(index: 1, value: 1)), .announce(address), .setMTU(1500),
        .setBackendChannel,
        .getConfiguration(part), .setConfiguration(part), .getInflight(inflight),
        .setInflight(inflight), .resetDevice, .getMemorySlotCount, .addRegion(region),
        .removeRegion(region), .setStatus(0xf), .getStatus,
    ]

    @Test func allRequestsAreTried() {
        #expect(Self.requests.map(\.code) == FrontendRequest.Code.allCases)
    }

    @Test(arguments: requests) func requestIsReadAsItWasWritten(request: FrontendRequest) throws {
        for count in request.descriptorCounts {
            let read = try FrontendRequest(
                code: request.code.rawValue, payload: request.payload, descriptorCount: count)
            #expect(read == request)
        }
    }

    @Test(arguments: requests) func otherNumbersOfDescriptorsAreRefused(request: FrontendRequest) {
        let code = request.code.rawValue
        for count in 0...9 where !request.descriptorCounts.contains(count) {
            #expect(throws: MalformedMessage.descriptorCount(request: code, count: count)) {
                try FrontendRequest(
                    code: code, payload: request.payload, descriptorCount: count)
            }
        }
    }

    @Test(arguments: requests) func shorterAndLongerPayloadsAreRefused(request: FrontendRequest) {
        let code = request.code.rawValue
        // The one payload with two lengths: with and without what aligns the structure.
        let lengths: Set =
            [.getInflight, .setInflight].contains(request.code)
            ? [20, 24] : [request.payload.count]
        for byteCount in 0...request.payload.count + 8 where !lengths.contains(byteCount) {
            let payload = Array(
                (request.payload + [UInt8](repeating: 0, count: 8))
                    .prefix(byteCount))
            #expect(throws: MalformedMessage.payloadSize(request: code, byteCount: byteCount)) {
                try FrontendRequest(
                    code: code, payload: payload,
                    descriptorCount: request.descriptorCounts.lowerBound)
            }
        }
    }

    @Test func layoutsAreThoseOfTheSpecification() {
        func words(_ request: FrontendRequest) -> [UInt64] {
            let bytes = request.payload
            return (0..<bytes.count / 8).map { index in
                UInt64(
                    littleEndian: (0..<8).reduce(0) {
                        $0 | UInt64(bytes[index * 8 + $1]) << UInt64(8 * $1)
                    })
            }
        }
        #expect(
            words(.setMemoryTable([Self.region]))
                == [1, 0x1000, 0x2000, 0x7f00_0000_1000, 0x3000])
        #expect(words(.addRegion(Self.region)) == [0, 0x1000, 0x2000, 0x7f00_0000_1000, 0x3000])
        #expect(
            words(
                .setVringAddresses(
                    VringAddresses(
                        index: 2, flags: 1, descriptor: 3, used: 4, available: 5, log: 6)))
                == [1 << 32 | 2, 3, 4, 5, 6])
        #expect(words(.setVringKick(VringDescriptor(index: 3, isAttached: true))) == [3])
        #expect(words(.setVringKick(VringDescriptor(index: 3, isAttached: false))) == [0x103])
        #expect(words(.setLogBase(LogDescription(byteCount: 9, mmapOffset: 8))) == [9, 8])
        #expect(
            FrontendRequest.announce(Self.address).payload == [
                0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0,
            ])
        #expect(words(.getInflight(Self.inflight)) == [4096, 64, 128 << 16 | 3])
        #expect(
            FrontendRequest.getConfiguration(Self.part).payload
                == [8, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3])
    }

    @Test func tableOfMoreThanEightRegionsIsRefused() throws {
        let eight = [RegionDescription](repeating: Self.region, count: 8)
        let table = FrontendRequest.setMemoryTable(eight)
        #expect(
            try FrontendRequest(code: 5, payload: table.payload, descriptorCount: 8) == table)
        let nine = FrontendRequest.setMemoryTable(eight + [Self.region])
        #expect(
            throws: MalformedMessage.payloadSize(request: 5, byteCount: nine.payload.count)
        ) {
            try FrontendRequest(code: 5, payload: nine.payload, descriptorCount: 9)
        }
    }

    @Test func tableThatCountsMoreRegionsThanItHasIsRefused() {
        for count in [0, 2, 8, 9, 0x8000_0000, .max] as [UInt32] {
            var payload = FrontendRequest.setMemoryTable([Self.region]).payload
            for index in 0..<4 {
                payload[index] = UInt8(truncatingIfNeeded: count >> UInt32(8 * index))
            }
            #expect(throws: MalformedMessage.payloadSize(request: 5, byteCount: payload.count)) {
                try FrontendRequest(code: 5, payload: payload, descriptorCount: 1)
            }
        }
    }

    @Test(arguments: [
        ConfigurationPart(offset: 0, bytes: []),
        ConfigurationPart(offset: 256, bytes: [1]),
        ConfigurationPart(offset: .max, bytes: [1]),
        ConfigurationPart(offset: 0, bytes: [UInt8](repeating: 0, count: 257)),
        ConfigurationPart(offset: 1, bytes: [UInt8](repeating: 0, count: 256)),
    ])
    func configurationOutOfRangeIsRefused(part: ConfigurationPart) {
        for request in [FrontendRequest.getConfiguration(part), .setConfiguration(part)] {
            #expect(throws: MalformedMessage.value(request: request.code.rawValue)) {
                try FrontendRequest(
                    code: request.code.rawValue, payload: request.payload, descriptorCount: 0)
            }
        }
    }

    @Test func configurationWhoseLengthIsNotThatOfItsBytesIsRefused() {
        var payload = FrontendRequest.getConfiguration(Self.part).payload
        payload[4] = 4
        #expect(throws: MalformedMessage.payloadSize(request: 24, byteCount: payload.count)) {
            try FrontendRequest(code: 24, payload: payload, descriptorCount: 0)
        }
    }

    @Test func fieldsWithoutMeaningAreRefused() {
        let enable = FrontendRequest.setVringEnabled(VringState(index: 0, value: 2))
        #expect(throws: MalformedMessage.value(request: 18)) {
            try FrontendRequest(code: 18, payload: enable.payload, descriptorCount: 0)
        }
        let write = FrontendRequest.setConfiguration(
            ConfigurationPart(offset: 0, flags: 2, bytes: [0]))
        #expect(throws: MalformedMessage.value(request: 25)) {
            try FrontendRequest(code: 25, payload: write.payload, descriptorCount: 0)
        }
    }

    @Test(arguments: [MACAddress.broadcast, MACAddress(rawValue: 0)])
    func addressThatNoInterfaceHasIsNotAnnounced(address: MACAddress) {
        #expect(throws: MalformedMessage.value(request: 19)) {
            try FrontendRequest(
                code: 19, payload: FrontendRequest.announce(address).payload, descriptorCount: 0)
        }
    }

    @Test func whatStandsBehindAnAnnouncedAddressHasNoMeaning() throws {
        let payload = Self.address.bytes + [1, 2]
        let request = try FrontendRequest(code: 19, payload: payload, descriptorCount: 0)
        #expect(request == .announce(Self.address))
    }

    @Test(arguments: [0, 22, 23, 26, 30, 33, 35, 41, .max] as [UInt32])
    func requestsOfOtherExtensionsAreUnknown(code: UInt32) {
        #expect(throws: MalformedMessage.unknownRequest(code)) {
            try FrontendRequest(code: code, payload: [], descriptorCount: 0)
        }
    }

    /// Whatever the bytes, the decoder says yes or no, and what it takes it can write again.
    @Test func randomMessagesNeverTrap() throws {
        var random = SeededGenerator()
        for _ in 0..<20_000 {
            let code = UInt32(random.below(44))
            let payload = random.bytes(
                random.below(3) == 0 ? random.below(300) : 8 * random.below(8))
            let count = random.below(10)
            let request = try? FrontendRequest(
                code: code, payload: payload, descriptorCount: count)
            guard let request else { continue }
            let again = try FrontendRequest(
                code: code, payload: request.payload, descriptorCount: count)
            #expect(again == request, "seed \(random.seed)")
        }
    }
}
