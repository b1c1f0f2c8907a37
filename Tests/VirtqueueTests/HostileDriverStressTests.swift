import SharedMemory
import Synchronization
import TestSupport
import Testing

@testable import Virtqueue

/// A thread that writes into the rings whatever it likes, while a device, or a driver, works on them.
/// All that may happen is a fault; and no byte outside what a side may write changes.
struct HostileDriverStressTests {
    /// Words that get further into a walk than random ones.
    static func word(_ random: inout SeededGenerator, _ ring: RawRing) -> UInt64 {
        switch random.below(4) {
        case 0:
            return random.next()
        case 1:
            // An address of a table, or of the rings themselves.
            return RawRing.base.rawValue + UInt64(random.below(ring.memory.byteCount) & ~15)
        case 2:
            // A short length, flags that go on, and the next descriptor.
            let flags = UInt64([0, 1, 2, 3, 4, 5, 7][random.below(7)])
            let lap = UInt64([0x80, 0x8000][random.below(2)])
            return ring.isPacked
                ? UInt64(16 * random.below(20)) | UInt64(random.below(8)) << 32 | (flags | lap)
                    << 48
                : UInt64(16 * random.below(20)) | flags << 32 | UInt64(random.below(9)) << 48
        default:
            return UInt64(random.below(10)) * 0x1_0001_0001_0001
        }
    }

    /// Writes until told to stop.
    static func scribble(
        _ ring: RawRing, _ offsets: Range<Int>, until isDone: borrowing Atomic<Bool>
    ) {
        var random = SeededGenerator(seed: 99)
        while !isDone.load(ordering: .relaxed) {
            for _ in 0..<64 {
                let offset = offsets.lowerBound / 8 * 8 + 8 * random.below(offsets.count / 8)
                ring.memory.store(word(&random, ring), at: offset)
            }
        }
    }

    /// Makes something available that is right as far as it goes, so that the device has a start.
    private static func offer(
        _ ring: RawRing, _ position: QueuePosition, _ random: inout SeededGenerator
    ) {
        if ring.isPacked {
            let place = PackedPosition(rawValue: position.available)
            ring.describePacked(
                Int(place.index), flags: place.availableFlags | UInt16(random.below(5)))
        } else {
            let head = random.below(8)
            ring.describe(head, flags: UInt16(random.below(5)), next: UInt16(random.below(8)))
            let slot = Int(position.available) % 8
            ring.memory.store(UInt16(head), at: ring.driverOffset + 4 + 2 * slot)
            ring.memory.store(position.available &+ 1, at: ring.driverOffset + 2)
        }
    }

    /// Takes and gives back, with a new queue whenever one has failed.
    private static func run(_ ring: RawRing, _ region: InflightRegion?) throws -> (Int, Int) {
        var random = SeededGenerator(seed: 98)
        var faultCount = 0
        var takenCount = 0
        for _ in 0..<400 {
            region?.memory.fill(at: 0, byteCount: region?.memory.byteCount ?? 0, with: 0)
            do throws(QueueFault) {
                var device = RawDevice(try ring.makeDevice(inflight: region), chainCapacity: 6)
                var tokens: [ChainToken] = []
                for _ in 0..<40 {
                    offer(ring, device.queue.position, &random)
                    if random.below(3) > 0, try device.queue.next(&device.chain) {
                        takenCount += 1
                        tokens.append(device.chain.token)
                        precondition(device.chain.count <= 6 && tokens.count <= 8)
                        precondition(device.chain.readableCount <= device.chain.count)
                    } else if !tokens.isEmpty {
                        let written = random.below(100)
                        device.queue.use(tokens.removeFirst(), writtenByteCount: written)
                    }
                    if random.below(4) == 0 { _ = device.queue.publish() }
                    if random.below(8) == 0 { _ = device.queue.enableKicks() }
                    if random.below(8) == 0 { device.queue.disableKicks() }
                }
            } catch {
                faultCount += 1
            }
        }
        return (faultCount, takenCount)
    }

    private static let features: [VirtioFeatures] = [
        .indirectDescriptors, [.indirectDescriptors, .eventIndex, .inOrder],
        [.indirectDescriptors, .packedRing],
        [.indirectDescriptors, .packedRing, .eventIndex, .inOrder],
    ]

    @Test(arguments: features, [false, true])
    func deviceOnRingsThatChange(features: VirtioFeatures, isTracked: Bool) throws {
        let ring = try RawRing(size: 8, features: features)
        let memory = try HostMemory.anonymous(byteCount: 8192)
        let region = InflightRegion(
            memory: memory, offset: 0, queueSize: 8, isPacked: ring.isPacked)
        let isDone = Atomic(false)
        let counts = Mutex((0, 0))
        // What the driver does not write, which the device must leave alone.
        let end = ring.isPacked ? ring.spareOffset - 64 : ring.deviceOffset - 40
        let hostile = ring.descriptorOffset..<end
        ring.memory.fill(at: 0, byteCount: ring.descriptorOffset, with: 0xaa)
        ring.memory.fill(
            at: ring.spareOffset, byteCount: RawRing.spareByteCount, with: 0x01)
        onThreads(2) { index in
            if index == 0 {
                Self.scribble(ring, hostile, until: isDone)
            } else {
                let result = (try? Self.run(ring, isTracked ? region : nil)) ?? (0, 0)
                counts.withLock { $0 = result }
                isDone.store(true, ordering: .relaxed)
            }
        }
        let (faultCount, takenCount) = counts.withLock { $0 }
        #expect(faultCount > 10 && takenCount > 100, "\(faultCount) faults, \(takenCount) taken")
        #expect(ring.memory.bytes(at: 0, byteCount: 64).allSatisfy { $0 == 0xaa })
        #expect(
            ring.memory.bytes(at: ring.spareOffset, byteCount: RawRing.spareByteCount)
                .allSatisfy { $0 == 1 })
        let regionEnd = InflightRegion.byteCount(queueSize: 8, isPacked: ring.isPacked)
        #expect(
            memory.bytes(at: regionEnd, byteCount: memory.byteCount - regionEnd)
                .allSatisfy { $0 == 0 })
    }
}
