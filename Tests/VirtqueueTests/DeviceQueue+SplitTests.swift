import SharedMemory
import Testing

@testable import Virtqueue

/// Rings written by hand, hostile ones above all.
struct DeviceQueueSplitTests {
    /// Takes everything, and expects the queue to fail for one reason.
    private func expectFault(
        _ fault: QueueFault, _ ring: RawRing, afterTaking count: Int = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var device = try ring.device()
        for _ in 0..<count { try device.take() }
        #expect(device.fault() == fault, sourceLocation: sourceLocation)
        #expect(device.queue.inflightCount == count, sourceLocation: sourceLocation)
        #expect(device.queue.position.available == UInt16(count), sourceLocation: sourceLocation)
    }

    @Test func chainIsWhatTheDriverWrote() throws {
        let ring = try RawRing(size: 4)
        ring.describe(3, at: 0x1000, length: 16, flags: Flag.next, next: 0)
        ring.describe(0, at: 0x2000, length: 0, flags: Flag.next, next: 2)
        ring.describe(2, at: UInt64.max, length: .max, flags: Flag.next | Flag.write, next: 1)
        ring.describe(1, at: 0x3000, length: 1, flags: Flag.write, next: 77)
        ring.offer([3])
        var device = try ring.device()
        #expect(device.queue.hasNext == true)
        try device.take()
        #expect(
            device.chain.buffer
                == TestBuffer(
                    parts: [
                        GuestRange(address: GuestAddress(0x1000), byteCount: 16),
                        GuestRange(address: GuestAddress(0x2000), byteCount: 0),
                        GuestRange(address: GuestAddress(.max), byteCount: 0xffff_ffff),
                        GuestRange(address: GuestAddress(0x3000), byteCount: 1),
                    ], readableCount: 2))
        #expect(device.chain.readableByteCount == 16)
        #expect(device.chain.writableByteCount == 0x1_0000_0000)
        #expect(device.chain.token.id == 3)
        #expect(device.queue.hasNext == false)
        #expect(try device.takeIfAny() == nil)
    }

    @Test func usedEntryIsAsTheSpecificationSays() throws {
        let ring = try RawRing(size: 4)
        ring.describe(2, flags: Flag.write)
        ring.offer([2])
        var device = try ring.device()
        try device.takeAndUse(writing: 5)
        #expect(ring.usedIndex == 0)
        #expect(device.queue.publish() == true)
        #expect(ring.usedIndex == 1)
        #expect(ring.usedEntry(0) == (2, 5))
        #expect(device.queue.publish() == false)
        #expect(device.queue.position == QueuePosition(available: 1, used: 1))
    }

    /// A length that does not fit is an underestimate, which is allowed, and not zero.
    @Test func usedLengthDoesNotWrapAround() throws {
        let ring = try RawRing(size: 2)
        for index in 0..<2 as Range<UInt16> {
            ring.describe(
                Int(index), length: .max, flags: index == 0 ? Flag.next | Flag.write : Flag.write,
                next: 1)
        }
        ring.offer([0])
        var device = try ring.device()
        try device.takeAndUse(writing: 1 << 32)
        _ = device.queue.publish()
        #expect(ring.usedEntry(0) == (0, .max))
    }

    @Test(arguments: [5, 100, 32768, 65535] as [UInt16])
    func availableIndexTooFarAhead(index: UInt16) throws {
        let ring = try RawRing(size: 4)
        ring.memory.store(index, at: ring.driverOffset + 2)
        try expectFault(.availableIndexOutOfRange(available: index, next: 0), ring)
    }

    @Test func availableIndexGoesBack() throws {
        let ring = try RawRing(size: 4)
        ring.offer([0, 1])
        var device = try ring.device()
        for _ in 0..<2 { try device.takeAndUse() }
        _ = device.queue.publish()
        ring.memory.store(1 as UInt16, at: ring.driverOffset + 2)
        #expect(device.fault() == QueueFault.availableIndexOutOfRange(available: 1, next: 2))
    }

    @Test func greatestQueueTakesEveryIndexThatItCanHave() throws {
        let ring = try RawRing(size: 32768)
        ring.memory.store(32768 as UInt16, at: ring.driverOffset + 2)
        var device = try ring.device(chainCapacity: 1)
        for _ in 0..<32768 { try device.take() }
        #expect(try device.takeIfAny() == nil)
        ring.memory.store(32769 as UInt16, at: ring.driverOffset + 2)
        #expect(device.fault() == QueueFault.tooManyChains)
    }

    @Test(arguments: [4, 0xffff] as [UInt16]) func headOutOfRange(head: UInt16) throws {
        let ring = try RawRing(size: 4)
        ring.offer([0, head])
        try expectFault(.descriptorOutOfRange(index: Int(head)), ring, afterTaking: 1)
    }

    @Test(arguments: [4, 0xffff] as [UInt16]) func nextOutOfRange(next: UInt16) throws {
        let ring = try RawRing(size: 4)
        ring.describe(1, flags: Flag.next, next: next)
        ring.offer([1])
        try expectFault(.descriptorOutOfRange(index: Int(next)), ring)
    }

    @Test(arguments: [1, 2, 4, 256]) func chainLoops(length: Int) throws {
        let ring = try RawRing(size: 256)
        for index in 0..<length {
            ring.describe(index, flags: Flag.next, next: UInt16((index + 1) % length))
        }
        ring.offer([0])
        try expectFault(.chainTooLong, ring)
    }

    @Test func chainAsLongAsTheQueueIsTaken() throws {
        let ring = try RawRing(size: 256)
        for index in 0..<256 {
            ring.describe(
                index, at: UInt64(index), flags: index < 255 ? Flag.next : 0,
                next: UInt16(index + 1))
        }
        ring.offer([0])
        var device = try ring.device(chainCapacity: 300)
        try device.take()
        #expect(device.chain.count == 256)
        #expect(device.chain.isCutShort == false)
        #expect(device.chain[255].address.rawValue == 255)
    }

    @Test func readableAfterWritable() throws {
        let ring = try RawRing(size: 4)
        ring.describe(0, flags: Flag.next | Flag.write, next: 1)
        ring.describe(1, length: 0)
        ring.offer([0])
        try expectFault(.readableAfterWritable, ring)
    }

    @Test func sameHeadsAgainAndAgainAreHeldToTheSize() throws {
        let ring = try RawRing(size: 4)
        ring.offer([1, 1, 1, 1])
        var device = try ring.device()
        for _ in 0..<4 { try device.take() }
        ring.offer([1])
        #expect(device.fault() == QueueFault.tooManyChains)
    }

    /// What the driver was not shown as used it cannot have made available again.
    @Test(arguments: [true, false]) func buffersGivenBackUnseenTakeRoom(isTracked: Bool) throws {
        let ring = try RawRing(size: 4)
        let memory = try HostMemory.anonymous(byteCount: 4096)
        let region = InflightRegion(memory: memory, offset: 0, queueSize: 4, isPacked: false)
        var device = try ring.device(inflight: isTracked ? region : nil)
        for _ in 0..<4 {
            ring.offer([0])
            try device.takeAndUse(writing: 0)
        }
        ring.offer([0])
        #expect(device.fault() == QueueFault.tooManyChains)
        _ = device.queue.publish()
        try device.take()
    }

    @Test func positionIsWhereItGoesOn() throws {
        let ring = try RawRing(size: 4)
        ring.memory.store(65534 as UInt16, at: ring.driverOffset + 2)
        ring.memory.store(65534 as UInt16, at: ring.deviceOffset + 2)
        ring.offer([0, 1, 2])
        var device = try ring.device(position: QueuePosition(available: 65534, used: 9))
        #expect(device.queue.position == QueuePosition(available: 65534, used: 65534))
        for head in 0..<3 as Range<UInt16> {
            try device.take()
            #expect(device.chain.token.id == head)
            device.queue.use(device.chain.token, writtenByteCount: Int(head))
        }
        #expect(try device.takeIfAny() == nil)
        _ = device.queue.publish()
        #expect(ring.usedIndex == 1)
        #expect(ring.usedEntry(65535) == (1, 1))
        #expect(ring.usedEntry(0) == (2, 2))
    }

    /// One entry for a batch of filled buffers, in the place of its first; others end a batch.
    @Test func inOrderBatches() throws {
        let ring = try RawRing(size: 8, features: .inOrder)
        for index in 0..<8 { ring.describe(index, flags: index % 2 == 0 ? 0 : Flag.write) }
        ring.offer([0, 1, 2, 3, 4, 5])
        var device = try ring.device()
        for written in [0, 8, 0, 3, 0, 0] {
            try device.takeAndUse(writing: written)
        }
        _ = device.queue.publish()
        #expect(ring.usedIndex == 6)
        #expect(ring.usedEntry(0) == (3, 3))
        // A buffer with nothing written into what could be is not skipped.
        #expect(ring.usedEntry(4) == (5, 0))
        #expect(ring.usedEntry(1) == (0, 0) && ring.usedEntry(5) == (0, 0))
    }
}
