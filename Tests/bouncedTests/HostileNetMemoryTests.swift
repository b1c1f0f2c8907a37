import SharedMemory
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// Rings, headers, frames and commands that change while `bounced net` looks at them.
@Suite(.serialized) struct HostileNetMemoryTests {
    @Test("Everything flips while the daemon serves", arguments: HostileFrameTests.formats)
    func doubleFetch(format: VirtioFeatures) throws {
        var random = SeededGenerator()
        print("double fetch, seed \(random.seed)")
        var stops = 0
        try withNetDaemon("--loopback") { daemon in
            for _ in 0..<8 {
                let features: VirtioFeatures = [.netChecksum, .netHostTSO4, .indirectDescriptors]
                let peer = try NetPeer(
                    daemon, features: NetPeer.usual.union(features).union(format))
                // What is true of working queues, for the flipping to begin from.
                peer.offer(64)
                for _ in 0..<64 {
                    let frame = [UInt8](repeating: 0, count: 100 + random.below(1400))
                    peer.transmit.submit([peer.put(frame)], readable: 1)
                }
                for _ in 0..<8 {
                    peer.control.submit([peer.put([0, 0, 1]), peer.room(1)], readable: 1)
                }
                Self.flip(peer, seed: random.next())
                if [peer.receive, peer.transmit, peer.control].contains(where: {
                    $0.alarm.wait(timeoutMilliseconds: 0)
                }) {
                    stops += 1
                }
                // Stopped or not, it can be stopped.
                try peer.stop()
            }
        }
        #expect(stops > 0)
    }

    /// Writes over rings, and over what they lead to, and kicks.
    private static func flip(_ peer: NetPeer, seed: UInt64) {
        let memory = peer.memory
        let kicks = [peer.receive.kick, peer.transmit.kick, peer.control.kick]
        onThreads(2) { index in
            var random = SeededGenerator(seed: seed + UInt64(index))
            let end = ContinuousClock.now + .milliseconds(100)
            while ContinuousClock.now < end {
                for _ in 0..<200 {
                    // The rings of each queue are at its start; small numbers more often than great ones.
                    let offset =
                        random.below(3) > 0
                        ? random.below(3) * NetPeer.ringByteCount + random.below(4096) * 2
                        : NetPeer.roomOffset + random.below(100_000) * 2
                    let value =
                        random.below(2) == 0
                        ? UInt16(random.below(256)) : UInt16(random.below(65536))
                    memory.store(value, at: offset)
                }
                for kick in kicks { kick.signal() }
            }
        }
    }
}
