import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

@Suite struct VhostUserInflightMemoryTests {
    @Test(arguments: [false, true]) func memoryIsMadeZeroedAndSealed(isPacked: Bool) throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated(
            features: isPacked ? [.version1, .packedRing] : [.version1])
        let inflight = try #require(try frontend.makeInflight(queueCount: 3, queueSize: 128))
        let stride = InflightRegion.byteCount(queueSize: 128, isPacked: isPacked)
        #expect(inflight.description.byteCount == UInt64(3 * stride))
        #expect(inflight.description.queueCount == 3)
        #expect(inflight.description.queueSize == 128)
        #expect(inflight.memory.isSealed)
        #expect(inflight.memory.byteCount == 3 * stride)
        #expect(inflight.memory.bytes(at: 0, byteCount: 3 * stride).allSatisfy { $0 == 0 })
    }

    @Test func backendKeepsNothingOfWhatItMade() throws {
        let stand = try BackendStand()
        let frontend = try stand.negotiated()
        let inflight = try #require(try frontend.makeInflight(queueCount: 1, queueSize: 64))
        _ = try frontend.queueCountMax()
        let descriptor = try #require(inflight.memory.fileDescriptor)
        #expect(openDescriptorCount(of: descriptor) == 1)
    }

    @Test func eachQueueGetsItsPart() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        let inflight = try #require(try frontend.makeInflight(queueCount: 2, queueSize: 128))
        try frontend.setInflight(inflight)
        for (index, size) in [128, 64, 128].enumerated() {
            try frontend.startQueue(
                index, guest.configuration(index, size: size), at: .start(isPacked: false),
                kick: EventDescriptor(), call: nil)
        }
        #expect(stand.device.setup(0)?.inflight?.queueSize == 128)
        #expect(stand.device.setup(1)?.inflight?.queueSize == 128)
        // There are two parts only.
        #expect(stand.device.setup(2)?.inflight == nil)
    }

    @Test func successorGetsWhatTheFrontendKept() throws {
        let guest = try GuestMemory()
        let first = try BackendStand()
        let inflight = try #require(
            try first.negotiated().makeInflight(queueCount: 1, queueSize: 64))
        #expect(first.finish() == nil)

        let second = try BackendStand()
        let frontend = try second.negotiated()
        try frontend.setMemory(guest.map)
        try frontend.setInflight(inflight)
        try frontend.startQueue(
            0, guest.configuration(), at: .start(isPacked: false), kick: EventDescriptor(),
            call: nil)
        #expect(second.device.setup(0)?.inflight != nil)
    }

    @Test func longerQueueThanTheMemoryIsForDoesNotStart() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        let inflight = try #require(try frontend.makeInflight(queueCount: 1, queueSize: 64))
        try frontend.setInflight(inflight)
        #expect(throws: VhostUserError.failed(.setVringEnabled)) {
            try frontend.startQueue(
                0, guest.configuration(0, size: 128), at: .start(isPacked: false),
                kick: EventDescriptor(), call: nil)
        }
        #expect(stand.device.running.isEmpty)
    }

    /// CVE-2021-3839.
    @Test(
        arguments: [
            (0, 64), (5, 64), (0xffff, 64), (1, 0), (1, 63), (1, 512), (1, 0xffff),
        ] as [(UInt16, UInt16)])
    func queuesThatTheDeviceHasNotEndTheConnection(count: UInt16, size: UInt16) throws {
        let stand = try BackendStand()
        let request = FrontendRequest.getInflight(
            InflightDescription(byteCount: 0, mmapOffset: 0, queueCount: count, queueSize: size))
        try stand.socket?.send(
            code: request.code.rawValue, flags: [], payload: request.payload, .short)
        #expect(stand.waitForEnd() == .refused(.getInflight, .inflight))
    }

    @Test(arguments: [
        // More queues or longer ones than the memory has room for, or the device has.
        InflightDescription(byteCount: 8192, mmapOffset: 0, queueCount: 5, queueSize: 64),
        InflightDescription(byteCount: 8192, mmapOffset: 0, queueCount: 0xffff, queueSize: 64),
        InflightDescription(byteCount: 8192, mmapOffset: 0, queueCount: 4, queueSize: 256),
        InflightDescription(byteCount: 8192, mmapOffset: 0, queueCount: 1, queueSize: 0x8000),
        InflightDescription(byteCount: 8192, mmapOffset: 0, queueCount: 0, queueSize: 64),
        InflightDescription(byteCount: 8192, mmapOffset: 0, queueCount: 1, queueSize: 0),
        // Not in the file.
        InflightDescription(byteCount: 8193, mmapOffset: 0, queueCount: 1, queueSize: 64),
        InflightDescription(byteCount: 8192, mmapOffset: 64, queueCount: 1, queueSize: 64),
        InflightDescription(byteCount: .max, mmapOffset: 0, queueCount: 1, queueSize: 64),
        InflightDescription(byteCount: 4096, mmapOffset: .max, queueCount: 1, queueSize: 64),
        InflightDescription(byteCount: 0, mmapOffset: 0, queueCount: 1, queueSize: 64),
        // Not aligned.
        InflightDescription(byteCount: 4096, mmapOffset: 8, queueCount: 1, queueSize: 64),
    ])
    func memoryThatDoesNotFitIsRefused(description: InflightDescription) throws {
        let stand = try BackendStand()
        let guest = try GuestMemory(byteCount: 8192)
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        #expect(try stand.send(.setInflight(description), [guest.descriptor]) != 0)
        #expect(guest.descriptorCount == 1)
        #expect(guest.mappingCount == 1)
        var good = description
        good.byteCount = 8192 - 64
        good.mmapOffset = 64
        good.queueCount = 1
        good.queueSize = 64
        #expect(try stand.send(.setInflight(good), [guest.descriptor]) == 0)
        #expect(guest.mappingCount == 2)
    }
}
