import SharedMemory
import TestSupport
import Testing

@testable import Virtqueue

struct SplitInflightTests {
    /// A ring of four whose every descriptor is a buffer at its own address.
    private func ring(used: UInt16 = 0, available: [UInt16] = []) throws -> RawRing {
        let ring = try RawRing(size: 4)
        for index in 0..<4 { ring.describe(index, at: UInt64(index)) }
        ring.memory.store(used, at: ring.deviceOffset + 2)
        ring.memory.store(used, at: ring.driverOffset + 2)
        ring.offer(available)
        return ring
    }

    @Test func newRegion() throws {
        let ring = try ring(used: 0x1234)
        let region = try Region(queueSize: 4, isPacked: false)
        // What is not in use says nothing.
        region.memory.fill(at: 0, byteCount: 8, with: 0xff)
        region.memory.fill(at: 10, byteCount: 70, with: 0xff)
        region.memory.store(0 as UInt16, at: 8)
        #expect(ring.startFault(region) == nil)
        #expect(
            region.memory.bytes(at: 0, byteCount: 16) == [
                0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0x34, 0x12,
            ])
        for row in 0..<4 { #expect(region.memory.load(UInt8.self, at: 16 + 16 * row) == 0) }
    }

    /// The bytes of `QueueRegionSplit`, step by step.
    @Test func layout() throws {
        let ring = try ring(available: [2, 1])
        let region = try Region(queueSize: 4, isPacked: false)
        var device = try ring.device(inflight: region.region)
        let first = try device.take()
        let second = try device.take()
        var expected = [UInt8](repeating: 0, count: 128)
        expected[8] = 1  // version
        expected[10] = 4  // desc_num
        expected[48] = 1  // desc[2].inflight, its counter is 0
        expected[32] = 1  // desc[1].inflight
        expected[40] = 1  // desc[1].counter
        #expect(region.bytes == expected)
        device.queue.use(second, writtenByteCount: 0)
        expected[12] = 1  // last_batch_head
        #expect(region.bytes == expected)
        device.queue.use(first, writtenByteCount: 0)
        expected[12] = 2
        expected[54] = 1  // desc[2].next
        #expect(region.bytes == expected)
        _ = device.queue.publish()
        expected[14] = 2  // used_idx
        expected[48] = 0
        expected[32] = 0
        #expect(region.bytes == expected)
    }

    /// Killed after the used index was published, before it was noted: at each step of that.
    @Test(arguments: 0...2) func publishedBatchIsOver(cleared: Int) throws {
        let ring = try ring(used: 0xfffe, available: [0, 1, 3, 2])
        let region = try Region(queueSize: 4, isPacked: false)
        region.storeSplit(lastBatchHead: 3, usedIndex: 0xfffe)
        region.storeSplit(row: 0, counter: 7)
        region.storeSplit(row: 1, inflight: cleared > 1 ? 0 : 1, next: 2, counter: 8)
        region.storeSplit(row: 3, inflight: cleared > 0 ? 0 : 1, next: 1, counter: 9)
        region.storeSplit(row: 2, counter: 10)
        ring.memory.store(0 as UInt16, at: ring.deviceOffset + 2)
        #expect(try ring.delivered(region) == [0, 2])
        #expect(region.memory.load(UInt16.self, at: 14) == 0)
        #expect(region.memory.load(UInt8.self, at: 16 + 16 * 3) == 0)
        #expect(region.memory.load(UInt8.self, at: 16 + 16 * 1) == 0)
    }

    @Test func leftComeInTheOrderOfTheirCounters() throws {
        let ring = try ring(available: [3, 1, 0, 2])
        let region = try Region(queueSize: 4, isPacked: false)
        region.storeSplit(lastBatchHead: 0, usedIndex: 0)
        region.storeSplit(row: 0, counter: 0x1_0000_0000)
        region.storeSplit(row: 1, counter: 0x8000_0000)
        region.storeSplit(row: 3, counter: 5)
        var device = try ring.device(inflight: region.region)
        #expect(device.queue.leftCount == 3)
        #expect(device.queue.hasNext == true)
        for head in [3, 1, 0, 2] as [UInt16] {
            let token = try device.take()
            #expect(token.id == head)
        }
        #expect(device.queue.leftCount == 0)
        // The counter goes on behind the greatest.
        #expect(region.memory.load(UInt64.self, at: 16 + 32 + 8) == 0x1_0000_0001)
    }

    @Test func regionForMoreThanTheQueueHas() throws {
        let ring = try ring(available: [2])
        let region = try Region(queueSize: 16, isPacked: false)
        #expect(try ring.delivered(region) == [2])
        #expect(region.memory.load(UInt16.self, at: 10) == 16)
        #expect(try ring.delivered(region) == [2])
        region.storeSplit(row: 4, counter: 0)
        #expect(ring.startFault(region) == .invalidInflightRegion)
    }

    @Test func ringsThatWereReset() throws {
        let ring = try ring(available: [1])
        let region = try Region(queueSize: 4, isPacked: false)
        region.storeSplit(lastBatchHead: 0, usedIndex: 5)
        #expect(try ring.delivered(region) == [1])
        region.storeSplit(lastBatchHead: 0, usedIndex: 5)
        region.storeSplit(row: 1, counter: 0)
        #expect(ring.startFault(region) == .invalidInflightRegion)
    }

    @Test func malformed() throws {
        let ring = try ring()
        func fault(
            queueSize: Int = 4, isPacked: Bool = false, _ change: (Region) -> Void = { _ in }
        ) throws -> QueueFault? {
            let region = try Region(queueSize: queueSize, isPacked: isPacked)
            change(region)
            return ring.startFault(region)
        }
        #expect(try fault() == nil)
        #expect(try fault(queueSize: 2) == .invalidInflightRegion)
        #expect(try fault(queueSize: 2) { $0.storeHeader() } == .invalidInflightRegion)
        #expect(try fault(isPacked: true) == .invalidInflightRegion)
        #expect(try fault { $0.storeHeader() } == nil)
        #expect(try fault { $0.storeHeader(version: 2) } == .invalidInflightRegion)
        #expect(try fault { $0.storeHeader(rowCount: 3) } == .invalidInflightRegion)
        #expect(try fault { $0.storeHeader(rowCount: 0) } == .invalidInflightRegion)
        let features = try fault {
            $0.storeHeader()
            $0.memory.store(1 as UInt64, at: 0)
        }
        #expect(features == .invalidInflightRegion)
        let batch = try fault { $0.storeSplit(lastBatchHead: 4, usedIndex: 0xffff) }
        #expect(batch == .invalidInflightRegion)
        let next = try fault {
            $0.storeSplit(lastBatchHead: 1, usedIndex: 0xfffe)
            $0.storeSplit(row: 1, next: 0xffff, counter: 0)
        }
        #expect(next == .invalidInflightRegion)
        let loop = try fault {
            $0.storeSplit(lastBatchHead: 1, usedIndex: 0xfffc)
            $0.storeSplit(row: 1, next: 1, counter: 0)
        }
        #expect(loop == nil)
    }

    /// A region that says more than the driver made available.
    @Test func moreLeftThanThereIs() throws {
        let ring = try ring(available: [0])
        let region = try Region(queueSize: 4, isPacked: false)
        region.storeSplit(lastBatchHead: 0, usedIndex: 0)
        for row in 0..<4 { region.storeSplit(row: row, counter: .max) }
        var device = try ring.device(inflight: region.region)
        for _ in 0..<4 { try device.take() }
        #expect(device.fault() == .availableIndexOutOfRange(available: 1, next: 4))
    }

    /// A chain that breaks the rules is not noted as under way.
    @Test func faultIsNotNoted() throws {
        let ring = try ring(available: [2])
        ring.describe(2, flags: Flag.next, next: 2)
        let region = try Region(queueSize: 4, isPacked: false)
        var device = try ring.device(inflight: region.region)
        #expect(device.fault() == .chainTooLong)
        #expect(region.memory.load(UInt8.self, at: 48) == 0)
    }

    @Test func hostileRegions() throws {
        let ring = try ring(available: [2, 0])
        let region = try Region(queueSize: 4, isPacked: false)
        region.storeSplit(lastBatchHead: 0, usedIndex: 0)
        region.storeSplit(row: 2, counter: 3)
        var random = SeededGenerator(seed: 11)
        var other = random
        let flipped = try ring.fuzz(region, rounds: 500, using: &random) { bytes in
            for _ in 0...other.below(4) {
                bytes[other.below(bytes.count)] = UInt8(truncatingIfNeeded: other.next())
            }
        }
        let scrambled = try ring.fuzz(region, rounds: 500, using: &random) { bytes in
            for index in bytes.indices where index < 8 || index > 11 {
                bytes[index] = index < 8 ? 0 : UInt8(other.below(other.below(2) == 0 ? 256 : 5))
            }
        }
        #expect(flipped > 100 && scrambled > 5)
    }
}
