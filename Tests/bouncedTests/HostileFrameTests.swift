import SharedMemory
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// Frames, buffers and commands that no honest driver makes, over a real socket and real rings: each is
/// dropped or refused, and counted, and what comes next is served.
@Suite(.serialized) struct HostileFrameTests {
    static let formats: [VirtioFeatures] = [[], .packedRing]

    private static let offloads: VirtioFeatures = [
        .netChecksum, .netHostTSO4, .netGuestChecksum, .netGuestTSO4,
    ]

    /// A header that is as it should be, for a frame of 1000 bytes, but for what `change` does to it.
    private static func header(_ change: (inout NetHeader) -> Void) -> NetHeader {
        var header = NetHeader()
        header.flags = NetHeader.needsChecksum
        header.segmentation = NetHeader.Segmentation.tcp4
        header.headerByteCount = 54
        header.segmentByteCount = 500
        header.checksumStart = 34
        header.checksumOffset = 16
        change(&header)
        return header
    }

    @Test("A queue that breaks again and again is spoken of once")
    func repeatedFaults() throws {
        let said = try withNetDaemon("--loopback") { daemon in
            let peer = try NetPeer(daemon)
            let queue = peer.transmit
            // An available index, far ahead.
            let index =
                Int(
                    queue.configuration.driverArea.rawValue - NetPeer.base.rawValue) + 2
            peer.memory.store(1000 as UInt16, at: index)
            for _ in 0..<5 {
                queue.kick.signal()
                #expect(queue.alarm.wait(timeoutMilliseconds: 10_000))
                _ = try peer.frontend.stopQueue(queue.index)
                try queue.start(peer.frontend)
            }
        }
        let lines = said.split(separator: "\n").filter { $0.contains("stopped") }
        #expect(lines.count == 1 && lines[0].contains("queue 1 stopped"), "said: \(said)")
    }

    @Test("Headers that cannot be obeyed", arguments: formats)
    func headers(format: VirtioFeatures) throws {
        let frame = [UInt8](repeating: 7, count: 1000)
        let cases: [(String, NetHeader)] = [
            ("of unknown segmentation", Self.header { $0.segmentation = 99 }),
            ("of unknown segmentation", Self.header { $0.segmentation = 4 }),
            ("of unknown segmentation", Self.header { $0.segmentation |= 0x80 }),
            ("segmented without a checksum", Self.header { $0.flags = 0 }),
            ("with a segment size out of range", Self.header { $0.segmentByteCount = 0 }),
            ("with a segment size out of range", Self.header { $0.segmentByteCount = 1000 }),
            ("with a segment size out of range", Self.header { $0.segmentByteCount = .max }),
            ("with a header length out of range", Self.header { $0.headerByteCount = 1001 }),
            ("with a header length out of range", Self.header { $0.headerByteCount = .max }),
            ("with a checksum out of range", Self.header { $0.checksumStart = 13 }),
            ("with a checksum out of range", Self.header { $0.checksumStart = .max }),
            ("with a checksum out of range", Self.header { $0.checksumOffset = 965 }),
            ("with a checksum out of range", Self.header { $0.checksumOffset = .max }),
        ]
        let said = try withNetDaemon("--loopback") { daemon in
            let peer = try NetPeer(
                daemon, features: NetPeer.usual.union(Self.offloads).union(format))
            peer.offer(32)
            for (reason, header) in cases {
                #expect(try peer.send(frame, header), "\(reason)")
                #expect(try peer.send(frame, Self.header { _ in }))
                #expect(try peer.frame() == frame, "\(reason)")
            }
            try peer.stop()
        }
        for reason in Set(cases.map(\.0)) {
            let count = cases.count { $0.0 == reason }
            #expect(said.contains("\(count) \(reason)"), "\(reason) is not in: \(said)")
        }
    }

    @Test("An offload that was not negotiated", arguments: formats)
    func unnegotiated(format: VirtioFeatures) throws {
        let frame = [UInt8](repeating: 7, count: 1000)
        let said = try withNetDaemon("--loopback") { daemon in
            let features = NetPeer.usual.union(format)
            do {
                let peer = try NetPeer(daemon, features: features)
                peer.offer(16)
                #expect(try peer.send(frame, Self.header { _ in }))
                #expect(try peer.send(frame, Self.header { $0.segmentation = 0 }))
                #expect(try peer.send(frame))
                #expect(try peer.frame() == frame)
                try peer.stop()
            }
            // It may send so, and has not agreed to receive so.
            let sender = try NetPeer(
                daemon, features: features.union([.netChecksum, .netHostTSO4]))
            sender.offer(16)
            #expect(try sender.send(frame, Self.header { _ in }))
            #expect(try sender.send(frame))
            #expect(try sender.frame() == frame)
            try sender.stop()
        }
        #expect(said.contains("1 of unknown segmentation"), "\(said)")
        #expect(said.contains("1 with a checksum that was not negotiated"), "\(said)")
        #expect(said.contains("1 not taken by the other end"), "\(said)")
        #expect(said.contains("1 received with an offload"), "\(said)")
    }

    @Test("Frames too long or too short, in too many parts, or elsewhere", arguments: formats)
    func lengths(format: VirtioFeatures) throws {
        let good = [UInt8](repeating: 9, count: 1518)
        let said = try withNetDaemon("--loopback") { daemon in
            let peer = try NetPeer(
                daemon, features: NetPeer.usual.union(Self.offloads).union(format))
            peer.offer(64)
            func isServed() throws -> Bool {
                try peer.send(good) && peer.frame() == good
            }
            // Longer than the MTU of 1500 and an Ethernet header with a tag allow.
            for count in [1519, 9000, 70_000] {
                #expect(try peer.send([UInt8](repeating: 1, count: count)))
                #expect(try isServed())
            }
            // Longer than any may be that is to be segmented.
            #expect(try peer.send([UInt8](repeating: 1, count: 70_000), Self.header { _ in }))
            for count in [0, 1, 13] {
                #expect(try peer.send([UInt8](repeating: 1, count: count)))
                #expect(try isServed())
            }
            let header = peer.put(NetHeader().bytes)
            for count in [0, 1, 11] {
                peer.transmit.submit([header.slice(offset: 0, byteCount: count)], readable: 1)
                #expect(try peer.transmit.wait() != nil)
                #expect(try isServed())
            }
            // Nothing to read at all.
            peer.transmit.submit([peer.room(2048)], readable: 0)
            #expect(try peer.transmit.wait()?.byteCount == 0)
            let part = peer.room(10)
            peer.transmit.submit([header] + Array(repeating: part, count: 200), readable: 201)
            #expect(try peer.transmit.wait() != nil)
            for address in [0, NetPeer.base.rawValue - 100, .max - 100] as [UInt64] {
                let range = GuestRange(address: GuestAddress(address), byteCount: 200)
                peer.transmit.submit([header, range], readable: 2)
                #expect(try peer.transmit.wait() != nil)
                peer.transmit.submit([range], readable: 1)
                #expect(try peer.transmit.wait() != nil)
            }
            #expect(try isServed())
            try peer.stop()
        }
        for part in [
            "4 too long", "3 too short", "4 without a header", "1 in too many parts",
            "6 outside of the memory", " 0 faults",
        ] {
            #expect(said.contains(part), "\(part) is not in: \(said)")
        }
    }

    @Test("Receive buffers that cannot be used", arguments: formats)
    func receiveBuffers(format: VirtioFeatures) throws {
        let frame = [UInt8](repeating: 9, count: 1500)
        let said = try withNetDaemon("--loopback") { daemon in
            do {
                let peer = try NetPeer(daemon, features: NetPeer.usual.union(format))
                // Shorter than a header, without a byte to write, outside of the memory: given back empty.
                peer.receive.submit([peer.room(1)], readable: 0)
                peer.receive.submit([peer.room(11)], readable: 0)
                peer.receive.submit([peer.room(2048)], readable: 1)
                for address in [0, .max - 100] as [UInt64] {
                    peer.receive.submit(
                        [GuestRange(address: GuestAddress(address), byteCount: 2048)], readable: 0)
                }
                peer.offer(1)
                #expect(try peer.send(frame))
                for _ in 0..<5 { #expect(try peer.receive.wait()?.byteCount == 0) }
                #expect(try peer.frame() == frame)
                try peer.stop()
            }

            // One buffer a frame: what is longer is dropped, and the buffer kept for the next.
            let plain = try NetPeer(
                daemon, features: NetPeer.usual.subtracting(.netMergeableBuffers).union(format))
            plain.offer(2, byteCount: 1000)
            plain.offer(1)
            #expect(try plain.send(frame))
            let short = Array(frame.prefix(900))
            #expect(try plain.send(short))
            #expect(try plain.frame() == short)
            try plain.stop()
        }
        for part in [
            "3 buffers too short for a header", "2 buffers outside of the memory",
            "1 received and too long", "1 not taken by the other end",
        ] {
            #expect(said.contains(part), "\(part) is not in: \(said)")
        }
    }

    @Test("Malformed commands", arguments: formats)
    func commands(format: VirtioFeatures) throws {
        let address: [UInt8] = [0x52, 0x54, 0, 1, 2, 3]
        let malformed: [[UInt8]] = [
            [], [0], [0, 0], [0, 0, 1, 1], [0, 6, 1], [1], [1, 2], [1, 1], [1, 1, 1, 2, 3],
            // A group's address, and nobody's.
            [1, 1, 1, 0, 0x5e, 0, 0, 1], [1, 1, 0, 0, 0, 0, 0, 0],
            // Tables that are longer or shorter than they say.
            [1, 0], [1, 0, 1, 0, 0, 0], [1, 0, 1, 0, 0, 0] + address,
            [1, 0, 0xff, 0xff, 0xff, 0xff] + address + [0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            // Virtual networks that there are not, more pairs than there are, and none.
            [2, 0], [2, 0, 0, 16], [2, 2, 0, 0], [4, 0, 0, 0], [4, 0, 2, 0], [4, 0, 1],
            // Classes that there are not, or that were not negotiated.
            [3, 0], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0], [99, 0], [255, 255, 255],
            [UInt8](repeating: 0, count: 60_000),
        ]
        let said = try withNetDaemon("--loopback") { daemon in
            let peer = try NetPeer(daemon, features: NetPeer.usual.union(format))
            for bytes in malformed {
                #expect(try peer.command(bytes) == 1, "\(bytes.prefix(20))")
                #expect(try peer.command([1, 1] + address) == 0)
            }
            // No room for an answer, or none that can be reached.
            let command = peer.put([0, 0, 1])
            peer.control.submit([command], readable: 1)
            #expect(try peer.control.wait()?.byteCount == 0)
            let outside = GuestRange(address: GuestAddress(0), byteCount: 1)
            peer.control.submit([command, outside], readable: 1)
            #expect(try peer.control.wait()?.byteCount == 0)
            peer.control.submit([outside, peer.room(1)], readable: 1)
            #expect(try peer.control.wait()?.byteCount == 1)
            let parts = Array(repeating: peer.put([0]), count: 40)
            peer.control.submit(parts + [peer.room(1)], readable: 40)
            #expect(try peer.control.wait() != nil)
            #expect(try peer.frontend.configuration(at: 0, byteCount: 6) == address)
            try peer.stop()
        }
        #expect(!said.contains(" 0 refused"), "\(said)")
        #expect(said.contains(" 0 faults"), "\(said)")
    }

    @Test(
        "Random headers and lengths: every buffer comes back",
        arguments: ["--drop", "--loopback"] + (Tap.isPermitted ? ["--tap"] : []))
    func randomFrames(option: String) throws {
        var random = SeededGenerator()
        print("random frames, seed \(random.seed)")
        let tap = option == "--tap" ? try Tap() : nil
        try tap?.set(isUp: true)
        let daemon = try Daemon(device: "net", more: [option] + (tap.map { [$0.name] } ?? []))
        try daemon.waitForSocket()
        for format in Self.formats {
            let peer = try NetPeer(
                daemon, features: NetPeer.usual.union(Self.offloads).union(format))
            for _ in 0..<1000 {
                var header = NetHeader(bytes: random.bytes(12))
                // Some that are nearly right.
                if random.below(2) == 0 { header.segmentation &= 1 }
                if random.below(2) == 0 { header.flags = 1 }
                let bytes = header.bytes + [UInt8](repeating: 3, count: random.below(3000))
                let part = peer.put(bytes)
                let cut = random.below(bytes.count)
                let parts = [
                    part.slice(offset: 0, byteCount: cut),
                    part.slice(offset: cut, byteCount: bytes.count - cut),
                ]
                peer.transmit.submit(parts, readable: 2)
                peer.receive.forgetUsed()
                while peer.receive.submittedCount < 32 { peer.offer(1) }
                #expect(try peer.transmit.wait() != nil)
            }
            try peer.stop()
        }
        try NetPeer.serveHonestly(daemon, isEchoed: option == "--loopback")
        let end = try daemon.stop()
        #expect(end.status == 0 && end.complaint.contains(" 0 faults"), "said: \(end.complaint)")
    }

    @Test("A ring that breaks stops its queue, and no other", arguments: 0..<3)
    func brokenRing(_ index: Int) throws {
        let said = try withNetDaemon("--loopback") { daemon in
            let peer = try NetPeer(daemon)
            peer.offer(16)
            #expect(try peer.send([UInt8](repeating: 1, count: 100)))
            let queue = [peer.receive, peer.transmit, peer.control][index]
            let available = Int(
                queue.configuration.driverArea.rawValue - NetPeer.base.rawValue)
            peer.memory.storeReleasing(0x7000 as UInt16, at: available + 2)
            queue.kick.signal()
            if index == 0 {
                // It is looked at when there is a frame for it.
                for _ in 0..<16 {
                    peer.transmit.submit(
                        [peer.put([UInt8](repeating: 0, count: 112))], readable: 1)
                }
            }
            #expect(queue.stopped())
            if index == 1 {
                #expect(try peer.command([0, 0, 1]) == 0)
            } else if index == 2 {
                #expect(try peer.send([UInt8](repeating: 2, count: 200)))
            }
            try peer.stop()
        }
        #expect(said.contains("queue \(index) stopped"), "\(said)")
        #expect(said.contains(" 1 faults"), "\(said)")
    }
}
