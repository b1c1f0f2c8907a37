import SharedMemory
import Testing

@testable import Virtqueue

struct DeviceQueueIndirectTests {
    private static let formats: [VirtioFeatures] = [
        .indirectDescriptors, [.indirectDescriptors, .packedRing],
    ]

    /// A ring whose first descriptor is of a table of `count` parts, readable but for the last.
    private func ring(
        _ features: VirtioFeatures, count: Int, size: Int = 4, flags: UInt16 = Flag.indirect
    ) throws -> RawRing {
        let ring = try RawRing(size: size, features: features)
        for index in 0..<count {
            let write = index + 1 == count ? Flag.write : 0
            if ring.isPacked {
                ring.describePacked(
                    index, at: UInt64(index), flags: write, table: ring.spareOffset)
            } else {
                ring.describe(
                    index, at: UInt64(index), flags: write | (index + 1 < count ? Flag.next : 0),
                    next: UInt16(index + 1), table: ring.spareOffset)
            }
        }
        point(ring, at: RawRing.address(ring.spareOffset).rawValue, length: 16 * count, flags)
        if !ring.isPacked { ring.offer([0]) }
        return ring
    }

    /// Makes the first descriptor one of a table.
    private func point(
        _ ring: RawRing, at address: UInt64, length: Int, _ flags: UInt16 = Flag.indirect
    ) {
        if ring.isPacked {
            ring.describePacked(
                0, at: address, length: UInt32(length), id: 3, flags: flags | Lap.firstAvailable)
        } else {
            ring.describe(0, at: address, length: UInt32(length), flags: flags)
        }
    }

    private func fault(_ ring: RawRing) throws -> QueueFault? {
        var device = try ring.device()
        return device.fault()
    }

    @Test(arguments: formats, [1, 2, 100]) func tableIsTaken(
        features: VirtioFeatures, count: Int
    ) throws {
        // The flag for writing means nothing where the table is.
        for flags in [Flag.indirect, Flag.indirect | Flag.write] {
            var device = try ring(features, count: count, flags: flags).device(chainCapacity: 128)
            let token = try device.take()
            #expect(token.id == (features.contains(.packedRing) ? 3 : 0))
            #expect(device.chain.count == count)
            #expect(device.chain.readableCount == count - 1)
            #expect(device.chain[count - 1].address.rawValue == UInt64(count - 1))
        }
    }

    @Test(arguments: formats) func tableOfAnyOrderIsAsLongAsItsLinks(
        features: VirtioFeatures
    ) throws {
        let ring = try ring(features, count: 3)
        if ring.isPacked {
            // Links, ids and reserved flags are not looked at.
            ring.describePacked(
                0, at: 0, id: 77, flags: Flag.next | Flag.indirect, table: ring.spareOffset)
        } else {
            ring.describe(0, at: 0, flags: Flag.next, next: 2, table: ring.spareOffset)
        }
        var device = try ring.device()
        try device.take()
        #expect(
            device.chain.buffer.parts.map(\.address.rawValue)
                == (ring.isPacked ? [0, 1, 2] : [0, 2]))
    }

    @Test func tableBehindDescriptorsOfTheRing() throws {
        let ring = try ring(.indirectDescriptors, count: 2)
        ring.describe(1, at: 9, flags: Flag.next, next: 0)
        ring.offer([1])
        var device = try ring.device()
        try device.take()
        try device.take()
        #expect(device.chain.buffer.parts.map(\.address.rawValue) == [9, 0, 1])
        #expect(device.chain.readableCount == 2)
    }

    @Test func tableInAPackedListIsMisplaced() throws {
        let ring = try ring([.indirectDescriptors, .packedRing], count: 2)
        ring.describePacked(1, at: 0, flags: Flag.indirect | Lap.firstAvailable)
        ring.describePacked(0, at: 0, flags: Flag.next | Lap.firstAvailable)
        #expect(try fault(ring) == .misplacedIndirect)
    }

    @Test(arguments: formats) func tableThatGoesOnInTheRing(features: VirtioFeatures) throws {
        let ring = try ring(features, count: 1, flags: Flag.indirect | Flag.next)
        #expect(try fault(ring) == .misplacedIndirect)
    }

    @Test(arguments: [VirtioFeatures(), .packedRing]) func notNegotiated(
        features: VirtioFeatures
    ) throws {
        #expect(try fault(ring(features, count: 1)) == .misplacedIndirect)
    }

    @Test func tableInATable() throws {
        let ring = try ring(.indirectDescriptors, count: 2)
        ring.describe(
            1, at: RawRing.address(ring.spareOffset).rawValue, length: 16, flags: Flag.indirect,
            table: ring.spareOffset)
        #expect(try fault(ring) == .misplacedIndirect)
    }

    @Test(arguments: formats, [0, 1, 15, 17, 16 * 1025, 0xffff_fff0])
    func lengthThatNoTableHas(features: VirtioFeatures, byteCount: Int) throws {
        let ring = try ring(features, count: 1)
        point(ring, at: RawRing.address(ring.spareOffset).rawValue, length: byteCount)
        #expect(try fault(ring) == .invalidIndirectTable(byteCount: byteCount))
    }

    /// Longer than a short queue, as Linux drivers make them; as long as a long queue.
    @Test(arguments: formats, [(4, 1024), (2048, 2048)])
    func longestTable(features: VirtioFeatures, lengths: (size: Int, count: Int)) throws {
        let ring = try ring(features, count: lengths.count, size: lengths.size)
        var device = try ring.device(chainCapacity: 4096)
        try device.take()
        #expect(device.chain.count == lengths.count)
        point(ring, at: RawRing.address(ring.spareOffset).rawValue, length: 16 * lengths.count + 16)
        #expect(
            try fault(ring) == .invalidIndirectTable(byteCount: 16 * lengths.count + 16))
    }

    @Test(arguments: formats) func tableOutsideTheMap(features: VirtioFeatures) throws {
        let ring = try ring(features, count: 2)
        let end = RawRing.base.rawValue + UInt64(ring.memory.byteCount)
        for address in [0, end - 16, end, RawRing.base.rawValue - 16, UInt64.max - 15] {
            point(ring, at: address, length: 32)
            #expect(try fault(ring) == .unreachableIndirectTable, "at \(address)")
        }
        point(ring, at: end - 32, length: 32)
        #expect(try fault(ring) == nil)
    }

    @Test(arguments: formats) func tableAcrossRegionsThatTouch(features: VirtioFeatures) throws {
        let ring = try ring(features, count: 3)
        let middle = ring.spareOffset + 24
        let upper = GuestAddress(RawRing.base.rawValue + UInt64(middle))
        let regions = [
            MemoryMap.Region(guestAddress: RawRing.base, memory: ring.memory, byteCount: middle),
            MemoryMap.Region(guestAddress: upper, memory: ring.memory, memoryOffset: middle),
        ]
        var device = RawDevice(
            try DeviceQueue(
                ring.configuration, memoryMap: try MemoryMap(regions),
                position: .start(isPacked: ring.isPacked)))
        try device.take()
        #expect(device.chain.buffer.parts.map(\.address.rawValue) == [0, 1, 2])
        // With nothing behind the first region it ends there.
        device = RawDevice(
            try DeviceQueue(
                ring.configuration, memoryMap: try MemoryMap([regions[0]]),
                position: .start(isPacked: ring.isPacked)))
        #expect(device.fault() == .unreachableIndirectTable)
    }

    @Test(arguments: [0, 1, 2] as [UInt16]) func tableLoops(target: UInt16) throws {
        let ring = try ring(.indirectDescriptors, count: 3)
        ring.describe(2, flags: Flag.next, next: target, table: ring.spareOffset)
        #expect(try fault(ring) == .chainTooLong)
    }

    @Test(arguments: [3, 4, 0xffff] as [UInt16]) func linkOutOfTheTable(target: UInt16) throws {
        let ring = try ring(.indirectDescriptors, count: 3)
        ring.describe(1, flags: Flag.next, next: target, table: ring.spareOffset)
        #expect(try fault(ring) == .descriptorOutOfRange(index: Int(target)))
    }

    @Test(arguments: formats) func readableAfterWritableInATable(features: VirtioFeatures) throws {
        let ring = try ring(features, count: 3)
        ring.memory.store(
            Flag.write | Flag.next, at: ring.spareOffset + 16 + (ring.isPacked ? 14 : 12))
        ring.memory.store(0 as UInt16, at: ring.spareOffset + 32 + (ring.isPacked ? 14 : 12))
        #expect(try fault(ring) == .readableAfterWritable)
    }
}
