import SharedMemory
import Testing

@testable import Virtqueue

struct DeviceQueuePackedTests {
    private func expectFault(
        _ fault: QueueFault, _ ring: RawRing, afterTaking count: Int = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var device = try ring.device()
        for _ in 0..<count { try device.take() }
        #expect(device.fault() == fault, sourceLocation: sourceLocation)
        #expect(device.queue.inflightCount == count, sourceLocation: sourceLocation)
    }

    @Test func listIsWhatTheDriverWroteAcrossTheEnd() throws {
        let ring = try RawRing(size: 4, features: .packedRing)
        ring.describePacked(3, at: 1, length: 2, id: 9, flags: Lap.firstAvailable | Flag.next)
        ring.describePacked(0, at: 3, length: 0, id: 8, flags: Lap.secondAvailable | Flag.next)
        ring.describePacked(
            1, at: .max, length: .max, id: 7, flags: Lap.secondAvailable | Flag.write)
        var device = try ring.device(position: QueuePosition(available: 0x8003, used: 0x8003))
        #expect(device.queue.hasNext == true)
        try device.take()
        #expect(
            device.chain.buffer
                == TestBuffer(
                    parts: [
                        GuestRange(address: GuestAddress(1), byteCount: 2),
                        GuestRange(address: GuestAddress(3), byteCount: 0),
                        GuestRange(address: GuestAddress(.max), byteCount: 0xffff_ffff),
                    ], readableCount: 2))
        // The last descriptor has the id.
        #expect(device.chain.token.id == 7)
        #expect(device.queue.position == QueuePosition(available: 2, used: 0x8003))
        #expect(device.queue.hasNext == false)
        device.queue.use(device.chain.token, writtenByteCount: 12)
        #expect(device.queue.publish() == true)
        #expect(ring.packedEntry(3) == (7, 12, Lap.firstUsed | Flag.write))
        #expect(device.queue.position == QueuePosition(available: 2, used: 2))
    }

    @Test(
        arguments: [
            Lap.firstUsed, Lap.secondAvailable, Lap.secondUsed, 0x8000 | 0x80 | Flag.next,
        ] as [UInt16])
    func wrongWrapBitsAreNotAvailable(flags: UInt16) throws {
        let ring = try RawRing(size: 4, features: .packedRing)
        ring.describePacked(0, flags: flags)
        var device = try ring.device()
        #expect(device.queue.hasNext == false)
        #expect(try device.takeIfAny() == nil)
    }

    @Test func bitsOfTheSecondLap() throws {
        let ring = try RawRing(size: 2, features: .packedRing)
        var device = try ring.device()
        let laps = [
            (Lap.firstAvailable, Lap.firstUsed), (Lap.secondAvailable, Lap.secondUsed),
            (Lap.firstAvailable, Lap.firstUsed),
        ]
        for (available, used) in laps {
            for index in 0..<2 {
                ring.describePacked(index, id: UInt16(index) + 5, flags: available)
                try device.take()
                #expect(try device.takeIfAny() == nil)
                device.queue.use(device.chain.token, writtenByteCount: 0)
                _ = device.queue.publish()
                #expect(ring.packedEntry(index) == (UInt16(index) + 5, 0, used))
            }
        }
    }

    @Test(arguments: [1, 2, 4, 256]) func listLongerThanTheRing(size: Int) throws {
        let ring = try RawRing(size: size, features: .packedRing)
        for index in 0..<size {
            ring.describePacked(index, flags: Lap.firstAvailable | Flag.next)
        }
        try expectFault(.chainTooLong, ring)
    }

    @Test func listAsLongAsTheRingIsTaken() throws {
        let ring = try RawRing(size: 256, features: .packedRing)
        for index in 0..<256 {
            ring.describePacked(index, flags: Lap.firstAvailable | (index < 255 ? Flag.next : 0))
        }
        var device = try ring.device(chainCapacity: 256)
        try device.take()
        #expect(device.chain.count == 256)
        #expect(device.chain.isCutShort == false)
        #expect(device.queue.position.available == 0)
    }

    /// The list would go over descriptors that are with the device.
    @Test func listLongerThanWhatIsFree() throws {
        let ring = try RawRing(size: 4, features: .packedRing)
        ring.describePacked(0, flags: Lap.firstAvailable)
        for index in 1..<4 {
            ring.describePacked(index, flags: Lap.firstAvailable | Flag.next)
        }
        try expectFault(.chainTooLong, ring, afterTaking: 1)
    }

    @Test func moreDescriptorsThanTheRingHas() throws {
        let ring = try RawRing(size: 4, features: .packedRing)
        for index in 0..<4 { ring.describePacked(index, flags: Lap.firstAvailable) }
        var device = try ring.device()
        for _ in 0..<4 { try device.take() }
        ring.describePacked(0, flags: Lap.secondAvailable)
        #expect(device.fault() == QueueFault.tooManyChains)
    }

    @Test(arguments: [true, false], [VirtioFeatures(), .inOrder])
    func buffersGivenBackUnseenTakeRoom(isTracked: Bool, order: VirtioFeatures) throws {
        let ring = try RawRing(size: 4, features: order.union(.packedRing))
        let memory = try HostMemory.anonymous(byteCount: 4096)
        let region = InflightRegion(memory: memory, offset: 0, queueSize: 4, isPacked: true)
        for index in 0..<4 { ring.describePacked(index, flags: Lap.firstAvailable) }
        var device = try ring.device(inflight: isTracked ? region : nil)
        for _ in 0..<4 {
            try device.takeAndUse(writing: 0)
        }
        for index in 0..<4 { ring.describePacked(index, flags: Lap.secondAvailable) }
        #expect(device.fault() == QueueFault.tooManyChains)
        _ = device.queue.publish()
        ring.describePacked(0, flags: Lap.secondAvailable)
        try device.take()
    }

    @Test func readableAfterWritable() throws {
        let ring = try RawRing(size: 4, features: .packedRing)
        ring.describePacked(0, flags: Lap.firstAvailable | Flag.next | Flag.write)
        ring.describePacked(1, flags: Lap.firstAvailable)
        try expectFault(.readableAfterWritable, ring)
    }

    @Test(arguments: [4, 0x7fff] as [UInt16]) func positionOutOfRange(index: UInt16) throws {
        let ring = try RawRing(size: 4, features: .packedRing)
        let memory = try HostMemory.anonymous(byteCount: 4096)
        let region = InflightRegion(memory: memory, offset: 0, queueSize: 4, isPacked: true)
        for position in [
            QueuePosition(available: index | 0x8000, used: 0x8000),
            QueuePosition(available: 0x8000, used: index),
        ] {
            #expect(throws: QueueFault.positionOutOfRange) {
                _ = try ring.makeDevice(position: position, inflight: region)
            }
        }
        // Nothing was noted: the region can be used still.
        #expect(memory.bytes(at: 0, byteCount: 4096).allSatisfy { $0 == 0 })
    }

    /// A batch is one descriptor in the place of its first, and shown last.
    @Test func inOrderBatches() throws {
        let ring = try RawRing(size: 8, features: [.inOrder, .packedRing])
        for index in 0..<6 as Range<UInt16> {
            ring.describePacked(
                Int(index), id: index + 10,
                flags: Lap.firstAvailable | (index % 2 == 0 ? 0 : Flag.write))
        }
        var device = try ring.device()
        for written in [0, 8, 0, 3, 0, 0] {
            try device.takeAndUse(writing: written)
        }
        // The second batch is there, the first not yet.
        #expect(ring.packedEntry(0) == (10, 8, Lap.firstAvailable))
        _ = device.queue.publish()
        #expect(ring.packedEntry(0) == (13, 3, Lap.firstUsed | Flag.write))
        #expect(ring.packedEntry(1) == (11, 8, Lap.firstAvailable | Flag.write))
        #expect(ring.packedEntry(4) == (15, 0, Lap.firstUsed))
        #expect(device.queue.position.used == 0x8006)
    }
}
