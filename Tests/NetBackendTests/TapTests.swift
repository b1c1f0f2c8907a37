import Glibc
import SharedMemory
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

/// A real TAP device, whose other end is an interface of this machine that tests read and write raw frames
/// of.
@Suite(
    .serialized, .enabled(if: Machine.hasUring, "io_uring is not permitted here"),
    .enabled(if: Machine.hasTap, "TAP devices cannot be made here"))
struct TapTests {
    private static let offloads: VirtioFeatures = [
        .netMergeableBuffers, .netChecksum, .netGuestChecksum, .netHostTSO4, .netGuestTSO4,
    ]

    @Test("Frames leave by the interface, and what comes in by it is received")
    func bothWays() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let device = NetDevice(.tap(tap))
        var bench = try NetDeviceBench(device)
        let socket = try PacketSocket(interface: tap.name)
        try bench.start()
        bench.fill()
        for seed in 0..<100 as Range<UInt64> {
            let length = 60 + Int(seed * 13 % 1400)
            let out = testFrame(length, seed: seed)
            bench.send(out)
            #expect(socket.receive() == out)
            #expect(try bench.sent(1))
            let back = testFrame(length, seed: seed + 1000)
            #expect(socket.send(back))
            #expect(try bench.testFrameReceived() == back)
        }
        #expect(device.stopQueue(0) != nil && device.stopQueue(1) != nil)
        let statistics = device.statistics[0]
        #expect(statistics.transmit.frameCount == 100 && statistics.transmit.refusedCount == 0)
        #expect(statistics.receive.frameCount >= 100)
    }

    @Test(
        "Frames leave as they are, copied or not, in one piece or in several",
        arguments: [[], [12], [5, 700], [20, 21, 800, 1500]])
    func pieces(cuts: [Int]) throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        var bench = try NetDeviceBench(NetDevice(.tap(tap)))
        let socket = try PacketSocket(interface: tap.name)
        try bench.start()
        // Up to 1588 bytes they are copied behind their headers.
        for length in [1495, 1587, 1588, 1589, 4000] {
            let frame = testFrame(length, seed: UInt64(length))
            bench.send(frame, cutAt: cuts)
            #expect(socket.receive() == frame)
            #expect(try bench.sent(1))
        }
    }

    @Test("What has no buffer waits in the TAP, in order")
    func heldBack() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let device = NetDevice(.tap(tap))
        var bench = try NetDeviceBench(device)
        let socket = try PacketSocket(interface: tap.name)
        try bench.start()
        // The first kick lets the queue be looked at.
        bench.kicks[0].signal()
        for seed in 0..<150 as Range<UInt64> { #expect(socket.send(testFrame(100, seed: seed))) }
        bench.fill()
        for seed in 0..<150 as Range<UInt64> {
            #expect(try bench.testFrameReceived() == testFrame(100, seed: seed))
        }
    }

    @Test("What was read of the TAP and found no buffer before the queue stopped is counted")
    func leftOver() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let device = NetDevice(.tap(tap))
        var bench = try NetDeviceBench(device)
        let socket = try PacketSocket(interface: tap.name)
        try bench.start()
        bench.kicks[0].signal()
        for seed in 0..<50 as Range<UInt64> { #expect(socket.send(testFrame(100, seed: seed))) }
        #expect(device.waits(until: { $0.receive.heldBackCount > 0 }))
        // The rest is in the TAP, and comes when the queue goes on.
        let position = try #require(device.stopQueue(0))
        var setup = bench.setup(0, at: position)
        setup.startsUnkicked = true
        try device.startQueue(0, setup)
        bench.fill()
        var frames: [[UInt8]] = []
        while frames.last != testFrame(100, seed: 49) {
            frames.append(try #require(try bench.testFrameReceived()))
        }
        let leftOverCount = device.statistics[0].receive.leftOverCount
        #expect(leftOverCount > 0 && leftOverCount + frames.count >= 50)
        #expect(
            device.statistics[0].drops.contains {
                $0.reason == "left over when the queue stopped" && $0.count == leftOverCount
            })
    }

    @Test("What was read of the TAP and found no buffer before the device stopped is counted")
    func leftOverAtTheEnd() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let device = NetDevice(.tap(tap))
        let bench = try NetDeviceBench(device)
        let socket = try PacketSocket(interface: tap.name)
        try bench.start()
        bench.kicks[0].signal()
        #expect(socket.send(testFrame(100, seed: 1)))
        #expect(device.waits(until: { $0.receive.heldBackCount > 0 }))
        #expect(device.stopQueue(0) != nil && device.stopQueue(1) != nil)
        #expect(device.statistics[0].receive.leftOverCount > 0)
    }

    @Test("A frame to be segmented leaves as segments")
    func segmentation() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let device = NetDevice(.tap(tap))
        var bench = try NetDeviceBench(device, features: Self.offloads)
        let socket = try PacketSocket(interface: tap.name)
        try bench.start()
        // TCP over IPv4 of 3000 bytes, whose checksum is left to do.
        let frame = tcpFrame(payload: frameBytes(3000))
        var header = NetHeader.offload(
            NetHeader.Segmentation.tcp4, segment: 1400, start: 34, offset: 16)
        header.headerByteCount = 54
        bench.send(frame, header)
        #expect(try bench.sent(1))
        // A packet socket sees it whole, as the interface's own stack does.
        #expect(socket.receive()?.count == frame.count)
        #expect(device.statistics[0].transmit.frameCount == 1)
        // What the kernel refuses is counted, and nothing stops for it.
        bench.send(testFrame(100, seed: 1))
        #expect(try bench.sent(1))
        #expect(socket.receive() == testFrame(100, seed: 1))
    }

    @Test(
        "UDP that is still to be segmented passes whole, both ways",
        .enabled(if: Machine.hasUSO, "this kernel does not segment UDP of a TAP device"))
    func udpSegmentation() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let socket = try PacketSocket(interface: tap.name)
        let network = "198.18.\(Int.random(in: 0...255))"
        try ip(["address", "add", "\(network).1/24", "dev", tap.name])
        try ip([
            "neighbour", "add", "\(network).2", "lladdr", "52:54:00:00:00:01", "dev", tap.name,
        ])
        let device = NetDevice(.tap(tap))
        let segmented: VirtioFeatures = [.netHostUSO, .netGuestUSO4, .netGuestUSO6]
        #expect(device.features.isSuperset(of: segmented))
        let payload = frameBytes(3000)
        do {
            var bench = try NetDeviceBench(device, features: Self.offloads.union(segmented))
            try bench.start()
            bench.fill()
            let frame = udpFrame(payload: payload)
            bench.send(
                frame,
                NetHeader.offload(NetHeader.Segmentation.udp, segment: 1400, start: 34, offset: 6))
            #expect(try bench.sent(1))
            #expect(socket.receive()?.count == frame.count)
            try sendDatagrams(payload, segment: 1400, to: "\(network).2")
            let received = try #require(try bench.udpFrameReceived())
            #expect(received.header.segmentation == NetHeader.Segmentation.udp)
            #expect(received.header.segmentByteCount == 1400)
            #expect(received.header.flags & NetHeader.needsChecksum != 0)
            #expect(received.bytes.dropFirst(42).elementsEqual(payload))
            #expect(device.stopQueue(0) != nil && device.stopQueue(1) != nil)
        }
        // A driver that has not agreed to it gets what the kernel has segmented, and may not send so.
        var bench = try NetDeviceBench(device, features: Self.offloads)
        try bench.start()
        bench.fill()
        try sendDatagrams(payload, segment: 1400, to: "\(network).2")
        for part in [payload[..<1400], payload[1400..<2800], payload[2800...]] {
            let received = try #require(try bench.udpFrameReceived())
            #expect(received.header.segmentation == NetHeader.Segmentation.none)
            #expect(received.bytes.dropFirst(42).elementsEqual(part))
        }
        bench.send(
            udpFrame(payload: payload),
            NetHeader.offload(NetHeader.Segmentation.udp, segment: 1400, start: 34, offset: 6))
        #expect(try bench.sent(1))
        #expect(device.statistics[0].transmit.unknownSegmentationCount == 1)
    }

    @Test("The interface goes down and up")
    func link() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let changed = try EventDescriptor()
        var configuration = NetDevice.Configuration()
        configuration.onConfigurationChange = { changed.signal() }
        let device = NetDevice(.tap(tap), configuration: configuration)
        var bench = try NetDeviceBench(device)
        try bench.start()
        bench.fill()
        #expect(device.configuration(at: 6, byteCount: 1) == [1])
        try tap.setUp(false)
        #expect(changed.comes())
        #expect(device.configuration(at: 6, byteCount: 1) == [0])
        // The kernel takes nothing now.
        bench.send(testFrame(100, seed: 1))
        #expect(try bench.sent(1))
        #expect(device.statistics[0].transmit.rejectedCount == 1)
        try tap.setUp(true)
        #expect(changed.comes())
        #expect(device.configuration(at: 6, byteCount: 1) == [1])
        let socket = try PacketSocket(interface: tap.name)
        bench.send(testFrame(100, seed: 2))
        #expect(try bench.sent(1))
        #expect(socket.receive() == testFrame(100, seed: 2))
    }

    @Test("A driver is announced by a frame to all, whether or not queues run")
    func announcement() throws {
        let tap = try TapDevice(name: Machine.tapName())
        let device = NetDevice(.tap(tap))
        #expect(device.canAnnounce && !NetDevice(.loopback).canAnnounce)
        // The interface is down: nobody is told, and nothing else happens.
        #expect(throws: SystemCallError("write", .ioError)) {
            try device.announce(testFrameSender)
        }
        try tap.setUp(true)
        let socket = try PacketSocket(interface: tap.name)
        try device.announce(testFrameSender)
        #expect(socket.receive() == announcementOfTests)
        var bench = try NetDeviceBench(device)
        try bench.start()
        try device.announce(testFrameSender)
        #expect(socket.receive() == announcementOfTests)
        bench.send(testFrame(100, seed: 1))
        #expect(socket.receive() == testFrame(100, seed: 1))
    }

    @Test("A TAP that vanishes: frames are counted, the queues go on")
    func vanished() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let device = NetDevice(.tap(tap))
        var bench = try NetDeviceBench(device)
        try bench.start()
        bench.fill()
        try deleteInterface(tap.name)
        bench.send(testFrame(100, seed: 1))
        #expect(try bench.sent(1))
        bench.send(testFrame(100, seed: 2))
        #expect(try bench.sent(1))
        #expect(device.statistics[0].transmit.rejectedCount == 2)
        #expect(device.configuration(at: 6, byteCount: 1) == [0])
        #expect(device.stopQueue(0) != nil && device.stopQueue(1) != nil)
        #expect(device.statistics[0].faultCount == 0)
    }

    @Test("A driver that filters")
    func filters() throws {
        let tap = try TapDevice(name: Machine.tapName())
        try tap.setUp(true)
        let device = NetDevice(.tap(tap))
        #expect(device.state.obey(.receive(.all, isOn: false), .netReceiveMode) == .ok)
        var bench = try NetDeviceBench(device)
        let socket = try PacketSocket(interface: tap.name)
        try bench.start()
        bench.fill()
        // To another interface, then to all.
        #expect(socket.send(testFrame(100, seed: 1, to: MACAddress(rawValue: 0x5254_0000_0009))))
        #expect(socket.send(testFrame(100, seed: 2, to: .broadcast)))
        #expect(try bench.testFrameReceived() == testFrame(100, seed: 2, to: .broadcast))
        #expect(device.statistics[0].receive.filteredCount >= 1)
    }

    @Test("What cannot be used is said in a sentence")
    func errors() throws {
        #expect(throws: TapError(name: "", reason: .invalidName)) { try TapDevice(name: "") }
        #expect(throws: TapError(name: "a/b", reason: .invalidName)) { try TapDevice(name: "a/b") }
        let long = String(repeating: "x", count: 16)
        #expect(throws: TapError(name: long, reason: .invalidName)) { try TapDevice(name: long) }
        // An interface that is no TAP.
        #expect(throws: TapError(name: "lo", reason: .otherKind)) { try TapDevice(name: "lo") }
        let tap = try TapDevice(name: Machine.tapName())
        #expect(throws: TapError(name: tap.name, reason: .inUse)) { try TapDevice(name: tap.name) }
        #expect(throws: TapError(name: tap.name, reason: .otherKind)) {
            try TapDevice(name: tap.name, queueCount: 2)
        }
        #expect(
            "\(TapError(name: "tap0", reason: .inUse))" == "TAP device tap0 is in use")
    }

    @Test("Several queues: each pair has one, and those that are not used get no frames")
    func multiqueue() throws {
        let tap = try TapDevice(name: Machine.tapName(), queueCount: 2)
        try tap.setUp(true)
        var configuration = NetDevice.Configuration()
        configuration.pairCount = 2
        let device = NetDevice(.tap(tap), configuration: configuration)
        // Both pairs would take frames; only the first is started.
        var bench = try NetDeviceBench(
            device, features: [.netMergeableBuffers, .netMultiqueue, .eventIndex])
        let socket = try PacketSocket(interface: tap.name)
        try bench.start()
        bench.fill()
        bench.send(testFrame(100, seed: 1))
        #expect(socket.receive() == testFrame(100, seed: 1))
        #expect(try bench.sent(1))
        for seed in 0..<50 as Range<UInt64> {
            // Of different flows, so that they would be spread.
            #expect(socket.send(testFrame(100, seed: seed)))
            #expect(try bench.testFrameReceived() == testFrame(100, seed: seed))
        }
    }
}

extension NetDevice {
    /// Waits until the first pair has done something.
    fileprivate func waits(until isDone: (NetPairStatistics) -> Bool) -> Bool {
        for _ in 0..<1000 {
            if isDone(statistics[0]) { return true }
            usleep(5000)
        }
        return false
    }
}
