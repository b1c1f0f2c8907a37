import CLinux
import Glibc
import SharedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// Memory that changes while the daemon looks at it, or goes away: the class of CVE-2020-14375, and
/// what else a peer can do to what it shares.
@Suite(.serialized) struct HostileMemoryTests {
    @Test("Everything flips while the daemon serves", arguments: HostileRequestTests.formats)
    func doubleFetch(format: VirtioFeatures) throws {
        try withDaemon { daemon in
            // The daemon is given the middle third of a file, whose rest must stay as it is.
            let outside = 1 << 20
            let whole = try HostMemory.window(byteCount: 2 * outside + Peer.byteCount)
            whole.fill(at: 0, byteCount: whole.byteCount, with: 0xC7)
            whole.fill(at: outside, byteCount: Peer.byteCount, with: 0)
            let descriptor = try #require(whole.fileDescriptor)
            let deadline = ContinuousClock.now + .seconds(3)
            var random = SeededGenerator()
            print("double fetch, seed \(random.seed)")
            var stops = 0
            while ContinuousClock.now < deadline {
                let memory = try HostMemory.mapped(
                    try descriptor.duplicate(), offset: outside, byteCount: Peer.byteCount)
                memory.fill(at: 0, byteCount: Peer.byteCount, with: 0)
                let features = Peer.usual.union(format).union(
                    Bool.random(using: &random) ? .indirectDescriptors : [])
                let peer = try Peer(daemon, features: features, memory: memory)
                if try Self.flip(peer, &random) { stops += 1 }
                // Stopped or not, it can be stopped.
                _ = try peer.frontend.stopQueue(0)
            }
            #expect(stops > 0)
            for offset in [0, outside + Peer.byteCount] {
                let bytes = whole.bytes(at: offset, byteCount: outside)
                #expect(bytes.allSatisfy { $0 == 0xC7 })
            }
        }
    }

    /// Serves and kicks while another thread writes over rings and headers.
    ///
    /// - Returns: whether the queue stopped itself.
    private static func flip(_ peer: Peer, _ random: inout SeededGenerator) throws -> Bool {
        let seed = random.next()
        let memory = peer.memory
        let ringByteCount = peer.layout.byteCount
        let isOver = Atomic(false)
        let kick = peer.kick
        // What is true of a working queue, for the flipping to begin from.
        for tag in 0..<8 {
            let status = peer.put([0xEE])
            let data = peer.room(512)
            peer.submit(
                [peer.header(UInt32(tag & 1)), data, status], readable: tag & 1 + 1,
                tag: UInt64(tag))
        }
        let alarm = peer.alarm
        let isStopped = Atomic(false)
        onThreads(2) { index in
            var random = SeededGenerator(seed: seed + UInt64(index))
            let end = ContinuousClock.now + .milliseconds(100)
            while ContinuousClock.now < end, !isOver.load(ordering: .relaxed) {
                for _ in 0..<200 {
                    // Rings more often than headers; small numbers more often than great ones.
                    let isRing = random.below(3) > 0
                    let offset =
                        isRing
                        ? random.below(ringByteCount / 2) * 2
                        : Peer.roomOffset + random.below(4096) * 2
                    let value =
                        random.below(2) == 0
                        ? UInt16(random.below(64)) : UInt16(random.below(65536))
                    memory.store(value, at: offset)
                }
                kick.signal()
                if alarm.wait(timeoutMilliseconds: 0) {
                    isStopped.store(true, ordering: .relaxed)
                    isOver.store(true, ordering: .relaxed)
                }
            }
        }
        return isStopped.load(ordering: .relaxed)
    }

    @Test("A file that is cut short under the daemon", arguments: [0, 4096, 1 << 17])
    func truncation(byteCount: Int) throws {
        try withDaemon { daemon in
            for isUsed in [false, true] {
                let memory = try unsealedMemory(byteCount: Peer.byteCount)
                let peer = try Peer(daemon, memory: memory, startsQueue: false)
                try peer.start()
                let status = peer.put([0xEE])
                let header = peer.header(BlockHeader.flush)
                if isUsed {
                    #expect(try #require(try peer.run(BlockHeader.flush)) == (0, 1))
                    let isAdded = peer.driver.add(
                        [header, status].span, readableCount: 1, tag: 1)
                    #expect(isAdded)
                }
                let descriptor = try #require(memory.fileDescriptor)
                #expect(ftruncate(descriptor.rawValue, byteCount) == 0)
                // Not earlier: the daemon may look without a kick, and be done before the file is cut.
                if isUsed, byteCount > 0 { _ = peer.driver.publish() }
                peer.kick.signal()
                if isUsed || byteCount == 0 { #expect(peer.queueStopped()) }
                _ = try peer.frontend.stopQueue(0)
            }
        }
    }

    @Test("A file that is cut short before the queue starts")
    func truncationBeforeTheStart() throws {
        try withDaemon { daemon in
            let memory = try unsealedMemory(byteCount: Peer.byteCount)
            let peer = try Peer(daemon, memory: memory, startsQueue: false)
            let descriptor = try #require(memory.fileDescriptor)
            #expect(ftruncate(descriptor.rawValue, 0) == 0)
            try peer.start()
            peer.kick.signal()
            #expect(peer.queueStopped())
        }
    }

    @Test("A call descriptor that is full, and made to block")
    func fullCall() throws {
        try withDaemon { daemon in
            let peer = try Peer(daemon)
            #expect(try #require(try peer.run(BlockHeader.flush)) == (0, 1))
            for event in [peer.call, peer.alarm] {
                let number = event.fileDescriptor.rawValue
                while eventfd_write(number, .max - 1) != 0 { event.clear() }
                _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK)
            }
            let status = peer.put([0xEE])
            peer.submit([peer.header(BlockHeader.flush), status], readable: 1)
            // No call comes, so the driver has to look.
            for _ in 0..<500 where peer.bytes(status) == [0xEE] { usleep(10_000) }
            #expect(peer.bytes(status) == [0])
            // The daemon hangs in the call, or would in the alarm: the ring is broken as well.
            let available = Int(peer.configuration.driverArea.rawValue - Peer.base.rawValue)
            peer.memory.storeReleasing(0x7000 as UInt16, at: available + 2)
            peer.kick.signal()
            let start = ContinuousClock.now
            _ = try peer.frontend.stopQueue(0)
            #expect(start.duration(to: .now) < .seconds(5))
        }
    }

    @Test("An error descriptor that is full, and made to block, for a queue that cannot start")
    func fullAlarm() throws {
        try withDaemon { daemon in
            let peer = try Peer(daemon, startsQueue: false)
            let inflight = try #require(
                try peer.frontend.makeInflight(queueCount: 1, queueSize: 64))
            // Another queue's size, in a version that is known.
            inflight.memory.store(1 as UInt16, at: 8)
            inflight.memory.store(32 as UInt16, at: 10)
            try peer.frontend.setInflight(inflight)
            let number = peer.alarm.fileDescriptor.rawValue
            // The daemon sets the flag when it gets it; so before the message that starts the queue.
            try peer.frontend.startQueue(
                0, peer.configuration, at: .start(isPacked: false), kick: peer.kick,
                call: peer.call, error: peer.alarm, isEnabled: false)
            while eventfd_write(number, .max - 1) != 0 { peer.alarm.clear() }
            _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK)
            let start = ContinuousClock.now
            #expect(throws: VhostUserError.failed(.setVringEnabled)) {
                try peer.frontend.setQueueEnabled(0, true)
            }
            #expect(start.duration(to: .now) < .seconds(5))
        }
    }
}
