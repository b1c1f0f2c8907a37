import Foundation
import Glibc
import SharedMemory
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// `bounced net` on a real TAP device, and what becomes of it when that does not stay as it was.
@Suite(.serialized, .enabled(if: Tap.isPermitted, "TAP devices may not be made here"))
struct NetTapTests {
    private static func daemon(_ tap: Tap, _ more: String...) throws -> Daemon {
        let daemon = try Daemon(device: "net", more: ["--tap", tap.name] + more)
        try daemon.waitForSocket()
        return daemon
    }

    private static let frame =
        [UInt8](repeating: 0, count: 12) + [0x88, 0xb5] + [UInt8](repeating: 5, count: 86)

    @Test func `frames are sent as long as the TAP device is there, and dropped when it is gone`()
        throws
    {
        let tap = try Tap()
        try tap.set(isUp: true)
        let daemon = try Self.daemon(tap)
        do {
            let peer = try NetPeer(daemon)
            let channel = try peer.frontend.openBackendChannel()
            for _ in 0..<10 { #expect(try peer.send(Self.frame)) }
            #expect(try tap.packetCount() == 10)
            #expect(try peer.isLinkUp())
            peer.offer(16)
            try tap.delete()
            // Whoever serves the driver tells that the link is down, not that all is over.
            try channel.receive(timeoutMilliseconds: 10_000) { $0 == .configurationChanged }
            #expect(try !peer.isLinkUp())
            for _ in 0..<10 { #expect(try peer.send(Self.frame)) }
            #expect(try peer.command([0, 0, 1]) == 0)
            try peer.stop()
        }
        // The next frontend is served all the same.
        let next = try NetPeer(daemon)
        #expect(try next.send(Self.frame))
        #expect(try !next.isLinkUp())
        let end = try daemon.stop()
        #expect(end.status == 0)
        // Once, though each frontend's pair finds it out.
        #expect(
            end.complaint.components(separatedBy: "\(tap.name) is gone").count == 2,
            "said: \(end.complaint)")
        #expect(end.complaint.contains("10 frames sent"), "said: \(end.complaint)")
        #expect(end.complaint.contains("11 not taken by the other end"), "said: \(end.complaint)")
    }

    @Test func `the frontend is told when the link goes down and up`() throws {
        let tap = try Tap()
        try tap.set(isUp: true)
        let daemon = try Self.daemon(tap)
        let peer = try NetPeer(daemon)
        let channel = try peer.frontend.openBackendChannel()
        for isUp in [false, true, false, true] {
            try tap.set(isUp: isUp)
            try channel.receive(timeoutMilliseconds: 10_000) { $0 == .configurationChanged }
            #expect(try peer.isLinkUp() == isUp)
        }
        #expect(try peer.send(Self.frame))
        #expect(try daemon.stop().status == 0)
    }

    @Test func `a driver that came from another host is announced`() throws {
        let tap = try Tap()
        try tap.set(isUp: true)
        let daemon = try Self.daemon(tap)
        let peer = try NetPeer(daemon)
        let socket = try PacketSocket(interface: tap.name)
        try peer.frontend.announce(testFrameSender)
        #expect(socket.receive() == announcementOfTests)
        #expect(try peer.send(Self.frame))
        // With the interface down nobody is told, and the frontend hears of it.
        try tap.set(isUp: false)
        for _ in 0..<3 {
            #expect(throws: VhostUserError.failed(.announce)) {
                try peer.frontend.announce(testFrameSender)
            }
        }
        try peer.stop()
        let end = try daemon.stop()
        #expect(end.status == 0)
        // However often it asks.
        #expect(
            end.complaint.components(separatedBy: "was not announced").count == 2,
            "said: \(end.complaint)")
        let other = try Daemon(device: "net", more: ["--loopback"])
        try other.waitForSocket()
        #expect(try !NetPeer(other).frontend.protocolFeatures.contains(.announcement))
    }

    @Test func `a TAP device that was there stays, one that was made goes`() throws {
        let tap = try Tap("multi_queue")
        let daemon = try Self.daemon(tap, "--num-queues", "2")
        #expect(try daemon.stop().status == 0)
        #expect(tap.exists)
        try tap.delete()
        let other = try Self.daemon(tap, "--num-queues", "2")
        #expect(tap.exists)
        #expect(try other.stop().status == 0)
        #expect(!tap.exists)
    }
}

extension NetPeer {
    fileprivate func isLinkUp() throws -> Bool {
        NetConfiguration(bytes: try frontend.configuration(at: 0, byteCount: 12)).isLinkUp
    }
}

extension Tap {
    /// How many frames the kernel has received by it.
    func packetCount() throws -> Int? {
        let text = try String(
            contentsOfFile: "/sys/class/net/\(name)/statistics/rx_packets", encoding: .utf8)
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
