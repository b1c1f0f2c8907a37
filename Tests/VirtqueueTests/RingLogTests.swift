import SharedMemory
import Testing

@testable import Virtqueue

/// Which of a device's writes to the rings are noted, page by page.
struct RingLogTests {
    private static let logAddress = GuestAddress(0x20_0000)
    private static let size = 2048

    /// - Returns: the pages noted after a device has done some things: first of the rings, in their
    ///   own pages, then from the log address on.
    private func pages(
        _ features: VirtioFeatures, _ use: (RawRing, inout RawDevice) throws -> Void
    ) throws -> (ring: [Int], log: [Int]) {
        let ring = try RawRing(size: Self.size, features: features)
        let memory = try HostMemory.anonymous(byteCount: 4096)
        var device = RawDevice(
            try DeviceQueue(
                ring.configuration, memoryMap: ring.map, position: .start(isPacked: ring.isPacked),
                dirtyLog: DirtyLog(memory: memory, offset: 0, byteCount: 4096),
                usedRingLogAddress: Self.logAddress))
        try use(ring, &device)
        let bytes = memory.bytes(at: 0, byteCount: 4096)
        let ringPage = Int(RawRing.base.rawValue / 4096)
        let logPage = Int(Self.logAddress.rawValue / 4096)
        var result: (ring: [Int], log: [Int]) = ([], [])
        for page in 0..<4096 * 8 where bytes[page / 8] & 1 << UInt8(page % 8) != 0 {
            if page < logPage {
                result.ring.append(page - ringPage)
            } else {
                result.log.append(page - logPage)
            }
        }
        return result
    }

    @Test func usedEntriesAndIndex() throws {
        let marked = try pages([]) { ring, device in
            ring.memory.store(600 as UInt16, at: ring.driverOffset + 2)
            for _ in 0..<600 { try device.takeAndUse() }
            // 4 + 8 * 511 is in both pages; nothing was published.
            #expect(device.queue.publish() == true)
        }
        #expect(marked.ring == [] && marked.log == [0, 1])
        let index = try pages([]) { ring, device in
            device.queue.used = 512
            ring.memory.store(1 as UInt16, at: ring.driverOffset + 2)
            try device.takeAndUse()
        }
        #expect(index.log == [1])
        // The index is in the first page, wherever the entries are.
        let published = try pages([]) { ring, device in
            device.queue.used = 512
            ring.memory.store(1 as UInt16, at: ring.driverOffset + 2)
            try device.takeAndUse()
            _ = device.queue.publish()
        }
        #expect(published.log == [0, 1])
    }

    @Test func usedDescriptorsWhereTheyAre() throws {
        let marked = try pages(.packedRing) { ring, device in
            for place in 0..<1024 { ring.describePacked(place, flags: Lap.firstAvailable) }
            for _ in 0..<1024 { try device.takeAndUse() }
            _ = device.queue.publish()
        }
        // Descriptors begin 64 bytes into the first page.
        #expect(marked.ring == [0, 1, 2, 3, 4] && marked.log == [])
    }

    @Test func heldDescriptorOnceItIsThere() throws {
        let marked = try pages(.packedRing) { ring, device in
            ring.describePacked(0, flags: Lap.firstAvailable)
            try device.takeAndUse()
        }
        #expect(marked.ring == [])
        let published = try pages(.packedRing) { ring, device in
            ring.describePacked(0, flags: Lap.firstAvailable)
            try device.takeAndUse()
            _ = device.queue.publish()
        }
        #expect(published.ring == [0])
    }

    @Test(
        arguments: [
            ([], [0]), (.eventIndex, [4]), (.packedRing, [0]), ([.packedRing, .eventIndex], [0]),
        ] as [(VirtioFeatures, [Int])])
    func askingForKicks(features: VirtioFeatures, expected: [Int]) throws {
        let marked = try pages(features) { _, device in _ = device.queue.enableKicks() }
        // The event index is behind 2048 entries of eight bytes.
        #expect(marked.ring == [] && marked.log == expected)
        let disabled = try pages(features) { _, device in device.queue.disableKicks() }
        #expect(disabled.log == (features == .eventIndex ? [] : [0]))
    }
}
