import SharedMemory
import TestSupport
import Testing

@testable import Virtqueue

/// When a device calls the driver: as often as the specification says, and never more.
struct DeviceQueueKicksTests {
    private static let sizes = [1, 2, 8, 256]

    /// Whether one of the indices from `old` on, below `new`, is the event: one by one.
    static func reference(event: UInt16, old: UInt16, count: Int) -> Bool {
        (0..<count).contains { old &+ UInt16($0) == event }
    }

    /// Whether one of the places from `old` on is the event, lap and all.
    static func reference(event: PackedPosition, old: PackedPosition, count: Int, size: Int) -> Bool
    {
        var position = old
        for _ in 0..<count {
            if position == event { return true }
            position.index += 1
            if position.index == size {
                position.index = 0
                position.wrap.toggle()
            }
        }
        return false
    }

    @Test(arguments: sizes) func splitCallsAtTheEventAlone(size: Int) throws {
        let ring = try RawRing(size: size, features: .eventIndex)
        let start: UInt16 = 0xff00
        ring.memory.store(start, at: ring.driverOffset + 2)
        ring.memory.store(start, at: ring.deviceOffset + 2)
        // Event indices make the flag mean nothing.
        ring.memory.store(1 as UInt16, at: ring.driverOffset)
        var device = try ring.device(position: QueuePosition(available: start, used: start))
        let rounds = size > 8 ? 300 : 2000
        var random = SeededGenerator(seed: 5)
        var used = start
        var calls = 0
        for _ in 0..<rounds {
            let count = 1 + random.below(size)
            let event =
                random.below(4) == 0
                ? UInt16(truncatingIfNeeded: random.next())
                : used &+ UInt16(truncatingIfNeeded: random.below(2 * size + 2) - size)
            ring.memory.store(event, at: ring.driverOffset + 4 + 2 * size)
            ring.offer([UInt16](repeating: 0, count: count))
            for _ in 0..<count { try device.takeAndUse() }
            let isCalled = Self.reference(event: event, old: used, count: count)
            #expect(device.queue.publish() == isCalled, "\(event) from \(used) by \(count)")
            used &+= UInt16(count)
            calls += isCalled ? 1 : 0
        }
        #expect(calls > rounds / 10 && calls < rounds)
        #expect(used < 0xff00)
    }

    @Test(arguments: [0, 1, 2, 3] as [UInt16]) func splitCallsByTheFlag(flags: UInt16) throws {
        let ring = try RawRing(size: 4)
        // The event index means nothing.
        ring.memory.store(0x8000 as UInt16, at: ring.driverOffset + 12)
        ring.memory.store(flags, at: ring.driverOffset)
        var device = try ring.device()
        ring.offer([0])
        try device.takeAndUse()
        #expect(device.queue.publish() == (flags & 1 == 0))
    }

    @Test(arguments: sizes) func packedCallsAtTheEventAlone(size: Int) throws {
        let ring = try RawRing(size: size, features: [.eventIndex, .packedRing])
        var device = try ring.device()
        let rounds = size > 8 ? 300 : 2000
        var random = SeededGenerator(seed: 6)
        var position = PackedPosition(rawValue: 0x8000)
        var calls = 0
        for _ in 0..<rounds {
            let count = 1 + random.below(size)
            var event = PackedPosition(rawValue: 0)
            event.index = UInt16(random.below(size))
            event.wrap = random.below(2) == 0
            ring.memory.store(
                UInt32(event.rawValue) | 2 << 16 | UInt32(random.below(2)) << 20,
                at: ring.driverOffset)
            let old = position
            for _ in 0..<count {
                ring.describePacked(Int(position.index), flags: position.availableFlags)
                position.advance(by: 1, size: size)
            }
            for _ in 0..<count { try device.takeAndUse() }
            let isCalled = Self.reference(event: event, old: old, count: count, size: size)
            #expect(device.queue.publish() == isCalled, "\(event) from \(old) by \(count)")
            calls += isCalled ? 1 : 0
        }
        #expect(calls > rounds / 10 && calls < rounds)
    }

    /// 3 is reserved, and 2 means something with event indices alone: better a call too many.
    @Test(arguments: [(0, true), (1, false), (2, true), (3, true)] as [(UInt32, Bool)])
    func packedCallsByTheFlags(flags: UInt32, isCalled: Bool) throws {
        let ring = try RawRing(size: 4, features: .packedRing)
        // The place is of another lap.
        ring.memory.store(flags << 16 | 2, at: ring.driverOffset)
        var device = try ring.device()
        ring.describePacked(0, flags: Lap.firstAvailable)
        try device.takeAndUse()
        #expect(device.queue.publish() == isCalled)
    }

    @Test func splitAsksForKicks() throws {
        let ring = try RawRing(size: 4)
        var device = try ring.device()
        device.queue.disableKicks()
        #expect(ring.memory.load(UInt16.self, at: ring.deviceOffset) == 1)
        #expect(device.queue.enableKicks() == false)
        #expect(ring.memory.load(UInt16.self, at: ring.deviceOffset) == 0)
        ring.offer([0])
        #expect(device.queue.enableKicks() == true)
    }

    @Test func splitAsksForKicksByIndex() throws {
        let ring = try RawRing(size: 4, features: .eventIndex)
        var device = try ring.device()
        ring.offer([0, 0])
        #expect(device.queue.enableKicks() == true)
        try device.takeAndUse()
        #expect(device.queue.enableKicks() == true)
        try device.takeAndUse()
        #expect(device.queue.enableKicks() == false)
        #expect(ring.memory.load(UInt16.self, at: ring.deviceOffset + 4 + 32) == 2)
        device.queue.disableKicks()
        // Flags are zero with event indices.
        #expect(ring.memory.load(UInt16.self, at: ring.deviceOffset) == 0)
    }

    @Test(arguments: [false, true]) func packedAsksForKicks(byIndex: Bool) throws {
        let ring = try RawRing(
            size: 4, features: byIndex ? [.packedRing, .eventIndex] : .packedRing)
        var device = try ring.device()
        device.queue.disableKicks()
        #expect(ring.memory.load(UInt32.self, at: ring.deviceOffset) == 1 << 16)
        ring.describePacked(0, flags: Lap.firstAvailable)
        #expect(device.queue.enableKicks() == true)
        try device.takeAndUse()
        #expect(device.queue.enableKicks() == false)
        #expect(
            ring.memory.load(UInt32.self, at: ring.deviceOffset) == (byIndex ? 2 << 16 | 0x8001 : 0)
        )
    }
}
