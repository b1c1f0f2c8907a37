import SharedMemory
import Synchronization
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct NetDeviceTests {
    static let formats: [VirtioFeatures] = [
        [.netMergeableBuffers], [.netMergeableBuffers, .packedRing, .eventIndex],
    ]

    @Test func features() throws {
        let device = NetDevice(.drop)
        #expect(device.features.isSuperset(of: [.version1, .accessPlatform, .netControlQueue]))
        #expect(device.features.isDisjoint(with: [.netMultiqueue, .netMAC, .netGuestTSO4]))
        #expect(device.features.isDisjoint(with: .inOrder))
        var configuration = NetDevice.Configuration()
        configuration.pairCount = 4
        configuration.macAddress = MACAddress(rawValue: 0x5254_0000_0001)
        configuration.mtu = 9000
        let other = NetDevice(.loopback, configuration: configuration)
        #expect(
            other.features.isSuperset(of: [.netMultiqueue, .netMAC, .netHostUSO, .netGuestUSO4]))
        #expect(other.queueCountMax == 9)
        #expect(
            other.configuration(at: 0, byteCount: 14)
                == [0x52, 0x54, 0, 0, 0, 1, 1, 0, 4, 0, 0x28, 0x23, 0, 0])
        #expect(other.configuration(at: 10, byteCount: 1) == [0x28])
        #expect(other.configuration(at: 12, byteCount: 1) == nil)
        #expect(!other.setConfiguration([1, 2, 3, 4, 5, 6], at: 0))
    }

    @Test("There and back, asleep in between", arguments: formats)
    func loopback(features: VirtioFeatures) throws {
        let device = NetDevice(.loopback)
        var bench = try NetDeviceBench(device, features: features)
        try bench.start()
        bench.fill()
        for seed in 0..<200 as Range<UInt64> {
            let frame = frameBytes(60 + Int(seed * 7 % 1400), seed: seed)
            bench.send(frame)
            #expect(try bench.frame()?.bytes == frame)
            #expect(try bench.sent(1))
        }
        #expect(device.stopQueue(1)?.available != nil)
        #expect(device.stopQueue(0)?.available != nil)
        #expect(device.stopQueue(0) == nil)
        let statistics = device.statistics[0]
        #expect(statistics.transmit.frameCount == 200 && statistics.receive.frameCount == 200)
        #expect(statistics.faultCount == 0 && statistics.kickCount > 0)
    }

    @Test("A queue goes on where it was stopped", arguments: formats)
    func restarts(features: VirtioFeatures) throws {
        let device = NetDevice(.loopback)
        var bench = try NetDeviceBench(device, features: features)
        try bench.start()
        bench.fill()
        for seed in 0..<20 as Range<UInt64> {
            let frame = frameBytes(100, seed: seed)
            bench.send(frame)
            #expect(try bench.frame()?.bytes == frame)
            #expect(try bench.sent(1))
            let index = Int(seed % 2)
            let position = try #require(device.stopQueue(index))
            var setup = bench.setup(index, at: position)
            setup.startsUnkicked = true
            try device.startQueue(index, setup)
        }
    }

    @Test("Queues that there are not, and queues that are running")
    func unavailable() throws {
        let device = NetDevice(.drop)
        let bench = try NetDeviceBench(device)
        for index in [-1, 2, 3, 100] {
            #expect(throws: QueueStartFailure.unavailable) {
                try device.startQueue(index, bench.setup(0))
            }
        }
        try bench.start()
        #expect(throws: QueueStartFailure.unavailable) { try device.startQueue(0, bench.setup(0)) }
        #expect(device.stopQueue(2) == nil)
        var setup = bench.setup(0)
        #expect(device.stopQueue(0) != nil)
        setup.configuration.size = 3
        #expect(throws: QueueStartFailure.fault(.invalidSize(3))) {
            try device.startQueue(0, setup)
        }
        #expect(device.stopQueue(0) == nil && device.stopQueue(1) != nil)
    }

    @Test("A queue that breaks says so, once, and its pair goes on")
    func faults() throws {
        let device = NetDevice(.loopback)
        var bench = try NetDeviceBench(device, features: [.netMergeableBuffers])
        let faults = Faults()
        var setup = bench.setup(0)
        setup.onFault = { faults.add($0) }
        // An available index, far ahead.
        let offset = Int(setup.configuration.driverArea.rawValue - NetDeviceBench.base.rawValue) + 2
        bench.memory.store(1000 as UInt16, at: offset)
        setup.startsUnkicked = true
        try device.startQueue(0, setup)
        try device.startQueue(1, bench.setup(1))
        bench.send(frameBytes(100))
        #expect(faults.wait() == [.availableIndexOutOfRange(available: 1000, next: 0)])
        #expect(device.stopQueue(0) == QueuePosition(available: 0, used: 0))
        // Set up anew, it serves the frame that waits.
        bench.memory.store(0 as UInt16, at: offset)
        setup.onFault = { _ in }
        setup.startsUnkicked = false
        try device.startQueue(0, setup)
        bench.fill()
        #expect(try bench.frame()?.bytes == frameBytes(100))
        #expect(device.statistics[0].faultCount == 1)
    }

    @Test("The call of a running queue is replaced, and called once")
    func calls() throws {
        let device = NetDevice(.loopback)
        var bench = try NetDeviceBench(device)
        try bench.start()
        let call = try EventDescriptor()
        device.setCall(call, ofQueue: 0)
        #expect(call.comes())
        bench.fill()
        bench.send(frameBytes(100))
        #expect(call.comes())
        #expect(try bench.frame()?.bytes == frameBytes(100))
    }

    @Test("Control queue: what a driver sets is read back, and a reset forgets it")
    func control() throws {
        var configuration = NetDevice.Configuration()
        configuration.macAddress = MACAddress(rawValue: 0x5254_0000_0001)
        let device = NetDevice(.drop, configuration: configuration)
        let features: VirtioFeatures = [.netControlQueue, .netSetMAC]
        var bench = try NetDeviceBench(device, features: features)
        // The control queue in place of the transmit queue's memory.
        try device.startQueue(2, bench.setup(1))
        let other = MACAddress(rawValue: 0x5254_0000_0002)
        let command = NetCommand.setAddress(other).bytes
        let offset = bench.memory.byteCount / 2
        let bytes = command + [0xEE]
        bench.memory.store(bytes.span, at: offset)
        let parts = [
            GuestRange(address: NetDeviceBench.address(offset), byteCount: command.count),
            GuestRange(address: NetDeviceBench.address(offset + command.count), byteCount: 1),
        ]
        let isAdded = bench.transmit.add(parts.span, readableCount: 1, tag: 0)
        #expect(isAdded)
        if bench.transmit.publish() { bench.kicks[1].signal() }
        #expect(try bench.sent(1))
        #expect(bench.memory.load(UInt8.self, at: offset + command.count) == 0)
        #expect(device.configuration(at: 0, byteCount: 6) == other.bytes)
        #expect(device.stopQueue(2) != nil)
        #expect(device.statistics[0].commandCount == 1)
        device.reset()
        #expect(device.configuration(at: 5, byteCount: 1) == [1])
    }
}

/// Faults that a device has told of.
private final class Faults: Sendable {
    private let semaphore: EventDescriptor?
    private let all = Mutex<[QueueFault]>([])

    init() {
        semaphore = try? EventDescriptor()
    }

    func add(_ fault: QueueFault) {
        all.withLock { $0.append(fault) }
        semaphore?.signal()
    }

    func wait() -> [QueueFault] {
        _ = semaphore?.comes()
        return all.withLock { $0 }
    }
}
