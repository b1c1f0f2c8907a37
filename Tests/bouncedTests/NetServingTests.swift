import Foundation
import Glibc
import GuestDriver
import SharedMemory
import SwiotlbPool
import SystemPackage
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// `bounced net` from its start to its end.
@Suite(.serialized) struct NetServingTests {
    @Test(
        "Frames go through a window that is all the daemon sees, and come back",
        arguments: [VirtioFeatures.netMergeableBuffers, [.netMergeableBuffers, .packedRing]])
    func bounced(features: VirtioFeatures) throws {
        let daemon = try Daemon(device: "net", more: ["--loopback", "--num-queues", "2"])
        try daemon.waitForSocket()
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let base = GuestAddress(1 << 40)
        let pool = try BouncePool(
            window: window, at: base, privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let frontend = try VhostUserFrontend(connecting: FilePath(daemon.socket))
        try frontend.negotiate(
            features: features.union([.version1, .accessPlatform, .netMultiqueue]))
        #expect(frontend.features.contains(.netMultiqueue))
        #expect(try frontend.queueCountMax() == 5)
        try frontend.setMemory(MemoryMap(window, at: base))
        let layout = QueueLayout(size: 64, isPacked: features.contains(.packedRing))
        var transmitter = try NetTransmitter(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: frontend.features)
        var receiver = try NetReceiver(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: frontend.features,
            buffers: GuestRange(address: GuestAddress(1 << 19), byteCount: 64 * 2048))
        let kicks = try (0..<2).map { _ in try EventDescriptor() }
        // The second pair's.
        let queues = [receiver.queueConfiguration, transmitter.queueConfiguration]
        for (side, configuration) in queues.enumerated() {
            try frontend.startQueue(
                2 + side, configuration, at: .start(isPacked: layout.isPacked), kick: kicks[side],
                call: nil)
        }
        if receiver.publish() { kicks[0].signal() }
        var random = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            let frame = random.bytes(Int.random(in: 14...1514, using: &random))
            let bytes = NetHeader().bytes + frame
            guest.store(bytes.span, at: 0)
            let isSent = try transmitter.send(
                GuestRange(address: GuestAddress(0), byteCount: bytes.count), tag: 3)
            #expect(isSent)
            if transmitter.publish() { kicks[1].signal() }
            let deadline = ContinuousClock.now + .seconds(10)
            var received: [UInt8]?
            while received == nil, ContinuousClock.now < deadline {
                guard let (buffer, byteCount) = try receiver.next() else {
                    sched_yield()
                    continue
                }
                received = guest.bytes(
                    at: 1 << 19 + buffer * receiver.bufferByteCount, byteCount: byteCount)
                receiver.giveBack(buffer)
            }
            if receiver.publish() { kicks[0].signal() }
            #expect(received?.dropFirst(NetHeader.byteCount).elementsEqual(frame) == true)
            while try transmitter.nextSent() == nil, ContinuousClock.now < deadline {}
        }
        for index in 2..<4 { _ = try frontend.stopQueue(index) }
        transmitter.abandon()
        receiver.end()
        let end = try daemon.stop()
        #expect(end.status == 0)
        #expect(end.complaint.contains("pair 1: 200 frames sent"), "said: \(end.complaint)")
    }

    @Test("What is sent goes nowhere, or comes back", arguments: ["--drop", "--loopback"])
    func connections(option: String) throws {
        let daemon = try Daemon(device: "net", more: [option])
        try daemon.waitForSocket()
        for _ in 0..<2 { try NetPeer.serveHonestly(daemon, isEchoed: option == "--loopback") }
        kill(daemon.id, SIGUSR1)
        #expect(try daemon.says("pair 0: 32 frames sent"))
        try NetPeer.serveHonestly(daemon, isEchoed: option == "--loopback")
        let end = try daemon.stop()
        #expect(end.status == 0)
        #expect(end.complaint.contains("pair 0: 48 frames sent"), "said: \(end.complaint)")
        #expect(end.complaint.contains("dropped: none; 6 commands, 0 refused"))
        #expect(end.complaint.contains(" 0 faults"))
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
    }

    @Test func `the configuration space is what was asked for`() throws {
        let daemon = try Daemon(
            device: "net",
            more: ["--drop", "--mac", "52:54:00:12:34:56", "--mtu", "9000", "--num-queues", "3"])
        try daemon.waitForSocket()
        let frontend = try VhostUserFrontend(connecting: FilePath(daemon.socket))
        try frontend.negotiate(features: NetPeer.usual.union([.netMAC, .netMultiqueue]))
        #expect(frontend.features.isSuperset(of: [.netMAC, .netMultiqueue, .netMTU]))
        let space = NetConfiguration(bytes: try frontend.configuration(at: 0, byteCount: 12))
        #expect(space.macAddress == MACAddress("52:54:00:12:34:56"))
        #expect(space.mtu == 9000 && space.pairCountMax == 3 && space.isLinkUp)
        #expect(try frontend.queueCountMax() == 7)
        #expect(try daemon.stop().status == 0)
    }

    @Test func `a connection that it was started with is served once, by another name`() throws {
        let (own, theirs) = try MessageSocket.makePair()
        let daemon = try Daemon(
            ["--fd", "0", "--drop"], program: "bounced-net", standardInput: theirs.fileDescriptor)
        let frontend = try VhostUserFrontend(adopting: own.fileDescriptor.duplicate())
        try frontend.negotiate(features: NetPeer.usual)
        #expect(try frontend.configuration(at: 10, byteCount: 2) == [0xDC, 5])
        #expect(Glibc.shutdown(own.fileDescriptor.rawValue, Int32(SHUT_RDWR)) == 0)
        let end = try daemon.finish()
        #expect(end.status == 0, "said: \(end.complaint)")
    }

    @Test func `all pairs that can be asked for can run at once`() throws {
        let daemon = try Daemon(
            device: "net", more: ["--drop", "--num-queues", "127", "--queue-size", "256"])
        try daemon.waitForSocket()
        let peer = try NetPeer(daemon)
        #expect(try peer.frontend.queueCountMax() == 255)
        for index in 3..<6 {
            // Without the feature there is one pair.
            #expect(throws: VhostUserError.self) {
                try NetPeerQueue(
                    index, size: 64, features: peer.frontend.features, at: NetPeer.base,
                    MemoryMap(peer.memory, at: NetPeer.base)
                ).start(peer.frontend)
            }
        }
        try peer.stop()
        try peer.frontend.setFeatures(peer.frontend.features.union(.netMultiqueue))
        for index in 0..<254 {
            // None is kicked, so that they may all have the same rings.
            try peer.frontend.startQueue(
                index, peer.receive.configuration, at: .start(isPacked: false),
                kick: EventDescriptor(), call: nil)
        }
        #expect(try daemon.stop().status == 0)
    }

    @Test func `nothing is said below the level that was asked for`() throws {
        for (level, says) in [("info", true), ("warning", false)] {
            let daemon = try Daemon(device: "net", more: ["--drop", "--log-level", level])
            try daemon.waitForSocket()
            try NetPeer.serveHonestly(daemon, isEchoed: false)
            let end = try daemon.stop()
            #expect(end.status == 0)
            #expect(end.complaint.contains("frontend connected") == says)
            #expect(end.complaint.contains("serving nothing") == says)
        }
    }
}
