import CLinux
import Glibc
import SharedMemory
import SystemPackage
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// Messages that no honest frontend sends: the classes of CVE-2020-10722 to -10726, CVE-2019-14818,
/// CVE-2022-0669 and CVE-2021-3839.
@Suite(.serialized) struct HostileMessageTests {
    /// Sends one message on a connection of its own, and one more to see whether that still lives.
    private static func send(
        _ daemon: Daemon, code: UInt32, payload: [UInt8], descriptors: [FileDescriptor] = [],
        flags: MessageHeader.Flags = []
    ) throws {
        let socket = try MessageSocket(connecting: FilePath(daemon.socket))
        let patience = Patience(milliseconds: 5000)
        do throws(VhostUserError) {
            // Who is not served yet can send no descriptors.
            try socket.send(
                code: FrontendRequest.Code.getFeatures.rawValue, flags: [], payload: [], patience)
            _ = try socket.receive(patience)
            let features = FrontendRequest.setFeatures(
                [.version1, .protocolFeatures])
            try socket.send(
                code: features.code.rawValue, flags: [], payload: features.payload, patience)
            try socket.send(
                code: code, flags: flags, payload: payload, descriptors: descriptors, patience)
            try socket.send(
                code: FrontendRequest.Code.getFeatures.rawValue, flags: [], payload: [], patience)
            _ = try socket.receive(patience)
        } catch {
            // To be thrown out is as good; not to be answered is not.
            #expect(error != .timedOut, "message \(code)")
        }
    }

    @Test("Queues that are not there, in every message that names one")
    func queueIndices() throws {
        try withDaemon { daemon in
            for index in [1, 255, 256, 0x7FFF_FFFF, 0xFFFF_FFFF] as [UInt32] {
                let state = VringState(index: index, value: 64)
                let addresses = VringAddresses(
                    index: index, flags: .max, descriptor: .max, used: 0, available: 1)
                let requests: [FrontendRequest] = [
                    .setVringSize(state), .setVringBase(state), .getVringBase(state),
                    .setVringEnabled(VringState(index: index, value: 1)),
                    .setVringAddresses(addresses),
                    .setVringKick(
                        VringDescriptor(index: UInt8(truncatingIfNeeded: index), isAttached: false)),
                    .setVringCall(
                        VringDescriptor(index: UInt8(truncatingIfNeeded: index), isAttached: false)),
                ]
                for request in requests {
                    try Self.send(daemon, code: request.code.rawValue, payload: request.payload)
                }
            }
        }
    }

    @Test("Every message with every length of rubbish, and descriptors that do not belong there")
    func rubbish() throws {
        try withDaemon { daemon in
            var random = SeededGenerator()
            print("rubbish, seed \(random.seed)")
            for code in 0...45 as ClosedRange<UInt32> {
                for length in [0, 4, 8, 12, 20, 40, 48, 256] {
                    let events = try (0..<random.below(3)).map { _ in try EventDescriptor() }
                    let memory = try HostMemory.window(byteCount: 4096)
                    let descriptor = try #require(memory.fileDescriptor)
                    try Self.send(
                        daemon, code: code, payload: random.bytes(length),
                        descriptors: events.map(\.fileDescriptor)
                            + (random.below(2) == 0 ? [descriptor] : []),
                        flags: random.below(2) == 0 ? .needsReply : [])
                    // Their numbers must not be another's before they are sent.
                    extendLifetime((events, memory))
                }
            }
        }
    }

    @Test("A log that is too short for the memory, and one that is not there")
    func logOverflow() throws {
        try withDaemon { daemon in
            let log = try HostMemory.window(byteCount: 8192)
            try Self.readWithShortLog(daemon, log)
            let bytes = log.bytes(at: 0, byteCount: 8192)
            #expect(bytes[33...].allSatisfy { $0 == 0 })
            #expect(bytes[..<32].allSatisfy { $0 == 0 })
            for (byteCount, offset) in [
                (0, 0), (.max, 0), (8193, 0), (4096, 8192), (1, .max), (.max, .max),
                (1 << 62, 1 << 62),
            ] as [(UInt64, UInt64)] {
                let request = FrontendRequest.setLogBase(
                    LogDescription(byteCount: byteCount, mmapOffset: offset))
                try Self.send(
                    daemon, code: request.code.rawValue, payload: request.payload,
                    descriptors: [try #require(log.fileDescriptor)])
            }
        }
    }

    private static func readWithShortLog(_ daemon: Daemon, _ log: HostMemory) throws {
        let peer = try Peer(daemon, features: Peer.usual.union(.logAll), startsQueue: false)
        // Pages 256 and on are written; the log ends with page 263.
        try peer.frontend.setLog(log, byteCount: 33)
        try peer.start()
        let target = peer.room(1 << 16)
        for _ in 0..<20 {
            #expect(
                try #require(try peer.run(BlockHeader.read, writes: [target]))
                    == (0, target.byteCount + 1))
        }
    }

    @Test("Rings at addresses that are not in the memory")
    func ringAddresses() throws {
        try withDaemon { daemon in
            for kind in 0..<6 {
                let peer = try Peer(daemon)
                let start = peer.memory.hostRange.address
                let end = start + UInt64(Peer.byteCount)
                let bad: UInt64 = [0, end, end - 16, .max, start - 1, start + 1][kind]
                for area in 0..<3 {
                    let addresses = VringAddresses(
                        index: 0, descriptor: area == 0 ? bad : start,
                        used: area == 1 ? bad : start + 8192,
                        available: area == 2 ? bad : start + 4096)
                    do throws(VhostUserError) {
                        try peer.frontend.perform(.setVringAddresses(addresses))
                        peer.kick.signal()
                        _ = try peer.frontend.stopQueue(0)
                    } catch {
                        #expect(error != .timedOut)
                    }
                }
            }
        }
    }

    @Test("The same messages again and again leave nothing behind")
    func repetition() throws {
        try withDaemon { daemon in
            let peer = try Peer(daemon)
            let log = try HostMemory.window(byteCount: 4096)
            let inflight = try #require(
                try peer.frontend.makeInflight(queueCount: 1, queueSize: 64))
            let region = MemoryMap.Region(
                guestAddress: GuestAddress(1 << 40), memory: try .window(byteCount: 65536))
            var first: Daemon.Holdings?
            for round in 0..<150 {
                try peer.frontend.setMemory(peer.map)
                try peer.frontend.addRegion(region)
                try peer.frontend.removeRegion(region)
                try peer.frontend.setLog(log, byteCount: 4096)
                try peer.frontend.setInflight(inflight)
                _ = try peer.frontend.makeInflight(queueCount: 1, queueSize: 64)
                _ = try peer.frontend.openBackendChannel()
                try peer.frontend.setCall(try EventDescriptor(), ofQueue: 0)
                try peer.frontend.setCall(nil, ofQueue: 0)
                try peer.frontend.startQueue(
                    0, peer.configuration, at: .start(isPacked: false), kick: peer.kick,
                    call: peer.call, error: peer.alarm)
                if round == 20 { first = daemon.holdings }
            }
            let last = daemon.holdings
            let before = try #require(first)
            #expect(last.descriptors.count <= before.descriptors.count + 2, "\(before) \(last)")
            #expect(last.sharedMappings.count == before.sharedMappings.count)
            #expect(last.mappingCount <= before.mappingCount + Daemon.mappingCountSpread)
        }
    }

    @Test("In-flight memory that does not fit, or says what cannot be")
    func inflight() throws {
        try withDaemon { daemon in
            let memory = try HostMemory.window(byteCount: 65536)
            let descriptor = try #require(memory.fileDescriptor)
            for (byteCount, offset, count, size) in [
                (65536, 0, 0, 64), (65536, 0, 2, 64), (65536, 0, 0xFFFF, 64), (65536, 0, 1, 0),
                (65536, 0, 1, 63), (65536, 0, 1, 0xFFFF), (64, 0, 1, 64), (65536, 1, 1, 64),
                (.max, 0, 1, 64), (65536, .max, 1, 64), (0, 0, 1, 64), (4096, 65536, 1, 64),
            ] as [(UInt64, UInt64, UInt16, UInt16)] {
                let peer = try Peer(daemon, startsQueue: false)
                let description = InflightDescription(
                    byteCount: byteCount, mmapOffset: offset, queueCount: count, queueSize: size)
                for request in [
                    FrontendRequest.setInflight(description), .getInflight(description),
                ] {
                    do throws(VhostUserError) {
                        if case .getInflight = request {
                            _ = try peer.frontend.ask(request)
                        } else {
                            try peer.frontend.perform(request, [descriptor])
                        }
                    } catch {
                        #expect(error != .timedOut)
                    }
                }
            }
            // Rubbish in the memory itself.
            var random = SeededGenerator()
            print("in-flight, seed \(random.seed)")
            for round in 0..<60 {
                let format: VirtioFeatures = round & 1 == 0 ? [] : .packedRing
                let peer = try Peer(
                    daemon, features: Peer.usual.union(format), startsQueue: false)
                let inflight = try #require(
                    try peer.frontend.makeInflight(queueCount: 1, queueSize: 64))
                let bytes = (0..<inflight.memory.byteCount).map { _ in UInt8(random.below(80)) }
                inflight.memory.store(bytes.span, at: 0)
                inflight.memory.store(1 as UInt16, at: 8)
                inflight.memory.store(64 as UInt16, at: 10)
                do throws(VhostUserError) {
                    try peer.frontend.setInflight(inflight)
                    try peer.frontend.startQueue(
                        0, peer.configuration, at: .start(isPacked: !format.isEmpty),
                        kick: peer.kick, call: peer.call, error: peer.alarm)
                    peer.kick.signal()
                    // It may stop the queue, or take none of it for wrong.
                    _ = peer.alarm.wait(timeoutMilliseconds: 2)
                    _ = try peer.frontend.stopQueue(0)
                } catch {
                    #expect(error != .timedOut)
                }
            }
        }
    }
}
