import SharedMemory
import TestSupport
import Testing

@testable import Virtqueue

struct PackedInflightTests {
    /// A ring of four where `count` buffers, at addresses 0 and on, are available from the start.
    private func ring(_ count: Int, size: Int = 4) throws -> RawRing {
        let ring = try RawRing(size: size, features: .packedRing)
        for index in 0..<count {
            ring.describePacked(
                index, at: UInt64(index), id: UInt16(index), flags: Lap.firstAvailable)
        }
        return ring
    }

    /// Where every row is free.
    private func emptyRegion(queueSize: Int = 4) throws -> Region {
        let region = try Region(queueSize: queueSize, isPacked: true)
        region.storePacked(freeHead: 0, oldFreeHead: 0, used: 0x8000, oldUsed: 0x8000)
        for row in 0..<queueSize { region.storePacked(row: row, next: UInt16(row + 1)) }
        return region
    }

    @Test func newRegion() throws {
        let ring = try ring(0)
        let region = try Region(queueSize: 4, isPacked: true)
        region.memory.fill(at: 0, byteCount: 8, with: 0xff)
        region.memory.fill(at: 10, byteCount: region.memory.byteCount - 10, with: 0xff)
        let queue = try ring.makeDevice(
            position: QueuePosition(available: 0x8002, used: 0x8002), inflight: region.region)
        #expect(queue.position == QueuePosition(available: 0x8002, used: 0x8002))
        #expect(
            region.memory.bytes(at: 0, byteCount: 24) == [
                0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0, 0, 2, 0, 2, 0, 1, 1, 0, 0,
            ])
        for row in 0..<4 {
            #expect(region.memory.load(UInt8.self, at: 32 + 32 * row) == 0)
            #expect(region.memory.load(UInt16.self, at: 34 + 32 * row) == UInt16(row + 1))
        }
    }

    /// The bytes of `QueueRegionPacked`, step by step.
    @Test func layout() throws {
        let ring = try ring(3)
        ring.describePacked(
            0, at: 0x1122_3344_5566_7788, length: 0x99aa_bbcc, id: 6,
            flags: Lap.firstAvailable | Flag.next)
        let region = try emptyRegion()
        var expected = region.bytes
        var device = try ring.device(inflight: region.region)
        let first = try device.take()
        expected[12] = 2  // free_head
        expected[14] = 2  // old_free_head
        expected[32] = 1  // desc[0].inflight
        expected[36] = 1  // desc[0].last
        expected[38] = 2  // desc[0].num
        expected[40] = 1  // desc[0].counter
        expected[48] = 6  // desc[0].id
        expected[50] = 0x81  // desc[0].flags
        expected.replaceSubrange(52..<56, with: [0xcc, 0xbb, 0xaa, 0x99])
        expected.replaceSubrange(56..<64, with: [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11])
        expected[80] = 1  // desc[1].id
        expected[82] = 0x80
        expected[84] = 8
        expected[88] = 1
        #expect(region.bytes == expected)
        device.queue.use(first, writtenByteCount: 0)
        #expect(region.bytes == expected)
        _ = device.queue.publish()
        expected[12] = 0  // free_head
        expected[14] = 0
        expected[16] = 2  // used_idx
        expected[18] = 2
        expected[32] = 0
        // desc[1].next is what was free before, as it was.
        #expect(region.bytes == expected)
    }

    /// Two buffers under way, and a batch of the second one that was being published.
    private func halfPublished(isSeen: Bool) throws -> (RawRing, Region) {
        let ring = try ring(2)
        let region = try emptyRegion()
        region.storePacked(freeHead: 1, oldFreeHead: 2, used: 0x8001, oldUsed: 0x8000)
        for row in 0..<2 {
            region.storePacked(
                row: row, inflight: 1, next: 2, last: UInt16(row), count: 1, counter: UInt64(row))
            region.storePacked(row: row, id: UInt16(row), address: UInt64(row))
        }
        if isSeen { ring.describePacked(0, id: 1, flags: Lap.firstUsed) }
        return (ring, region)
    }

    @Test(arguments: [false, true]) func batchIsTakenBackOrCompleted(isSeen: Bool) throws {
        let (ring, region) = try halfPublished(isSeen: isSeen)
        #expect(try ring.delivered(region) == (isSeen ? [0] : [0, 1]))
        let expected: [UInt8] =
            isSeen ? [1, 0, 1, 0, 1, 0, 1, 0, 1, 1] : [2, 0, 2, 0, 0, 0, 0, 0, 1, 1]
        #expect(region.memory.bytes(at: 12, byteCount: 10) == expected)
        #expect(region.memory.load(UInt8.self, at: 64) == (isSeen ? 0 : 1))
    }

    /// The driver has been so quick as to make the place available again.
    @Test func batchIsCompletedWhereTheDriverWentOn() throws {
        let (ring, region) = try halfPublished(isSeen: true)
        ring.describePacked(2, at: 2, flags: Lap.firstAvailable)
        ring.describePacked(3, at: 3, flags: Lap.firstAvailable)
        ring.describePacked(0, at: 4, flags: Lap.secondAvailable)
        #expect(try ring.delivered(region) == [0, 2, 3, 4])
    }

    /// A batch of the whole ring ends where it began: the wrap counter tells.
    @Test(arguments: [false, true]) func batchOfTheWholeRing(isSeen: Bool) throws {
        let ring = try ring(1, size: 1)
        let region = try Region(queueSize: 1, isPacked: true)
        region.storePacked(freeHead: 0, oldFreeHead: 1, used: 0, oldUsed: 0x8000)
        region.storePacked(row: 0, inflight: 1, next: 1, count: 1)
        region.storePacked(row: 0, id: 0, address: 77)
        if isSeen { ring.describePacked(0, flags: Lap.firstUsed) }
        #expect(try ring.delivered(region) == (isSeen ? [] : [77]))
    }

    /// Used descriptors of a batch that the driver never saw are taken for nothing.
    @Test func unpublishedDescriptorsAreHidden() throws {
        let ring = try ring(3)
        let region = try emptyRegion()
        region.storePacked(freeHead: 3, oldFreeHead: 3, used: 0x8000, oldUsed: 0x8000)
        for row in 0..<3 {
            region.storePacked(
                row: row, inflight: 1, next: 3, last: UInt16(row), count: 1, counter: UInt64(row))
            region.storePacked(row: row, id: UInt16(row), address: UInt64(row))
        }
        ring.describePacked(1, length: 5, id: 2, flags: Lap.firstUsed | Flag.write)
        var device = try ring.device(inflight: region.region)
        #expect(ring.packedEntry(1) == (2, 5, Lap.firstAvailable | Flag.write))
        let first = try device.take()
        device.queue.use(first, writtenByteCount: 0)
        _ = device.queue.publish()
        #expect(ring.packedEntry(0).flags == Lap.firstUsed)
        #expect(ring.packedEntry(1).flags & Lap.firstUsed == Lap.firstAvailable)
    }

    /// A list that breaks the rules leaves nothing behind.
    @Test func faultIsTakenBack() throws {
        let ring = try ring(2)
        ring.describePacked(1, flags: Lap.firstAvailable | Flag.next | Flag.write)
        ring.describePacked(2, flags: Lap.firstAvailable)
        let region = try Region(queueSize: 4, isPacked: true)
        var device = try ring.device(inflight: region.region)
        let first = try device.take()
        for _ in 0..<10 { #expect(device.fault() == .readableAfterWritable) }
        #expect(region.memory.load(UInt8.self, at: 32 + 32) == 0)
        device.queue.use(first, writtenByteCount: 0)
        _ = device.queue.publish()
        let queue = try ring.makeDevice(inflight: region.region)
        #expect(queue.leftCount == 0)
        #expect(queue.position == QueuePosition(available: 0x8001, used: 0x8001))
    }

    @Test func regionForMoreThanTheQueueHas() throws {
        let ring = try ring(4)
        let region = try Region(queueSize: 16, isPacked: true)
        #expect(try ring.delivered(region) == [0, 1, 2, 3])
        #expect(try ring.delivered(region) == [0, 1, 2, 3])
        #expect(region.memory.load(UInt16.self, at: 10) == 16)
    }

    @Test func hostileRegions() throws {
        let ring = try ring(4)
        let region = try emptyRegion()
        region.storePacked(freeHead: 2, oldFreeHead: 2, used: 0x8000, oldUsed: 0x8000)
        region.storePacked(row: 0, inflight: 1, next: 1, last: 1, count: 2)
        var random = SeededGenerator(seed: 12)
        var other = random
        let flipped = try ring.fuzz(region, rounds: 1000, using: &random) { bytes in
            for _ in 0...other.below(4) {
                bytes[other.below(bytes.count)] = UInt8(other.below(other.below(2) == 0 ? 256 : 6))
            }
        }
        let scrambled = try ring.fuzz(region, rounds: 3000, using: &random) { bytes in
            for index in bytes.indices where index > 11 {
                bytes[index] = index % 2 == 1 && index < 20 ? 0 : UInt8(other.below(5))
            }
            for row in 0..<4 {
                for field in [35, 37, 39] { bytes[field + 32 * row] = 0 }
            }
        }
        #expect(flipped > 100 && scrambled > 5)
    }
}
