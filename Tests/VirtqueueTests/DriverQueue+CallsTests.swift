import SharedMemory
import TestSupport
import Testing

@testable import Virtqueue

/// When a driver kicks the device: as often as the specification says, and never more.
struct DriverQueueCallsTests {
    private static let sizes = [1, 2, 8, 256]

    @Test(arguments: sizes) func splitKicksAtTheEventAlone(size: Int) throws {
        var driver = try RawDriver(size: size, features: .eventIndex)
        let start: UInt16 = 0xff00
        (driver.queue.available, driver.queue.used, driver.queue.seen) = (start, start, start)
        driver.storeUsedIndex(start)
        // Event indices make the flag mean nothing.
        driver.memory.store(1 as UInt16, at: driver.layout.deviceOffset)
        let rounds = size > 8 ? 300 : 2000
        var random = SeededGenerator(seed: 5)
        var index = start
        var kicks = 0
        for _ in 0..<rounds {
            let count = 1 + random.below(size)
            let event =
                random.below(4) == 0
                ? UInt16(truncatingIfNeeded: random.next())
                : index &+ UInt16(truncatingIfNeeded: random.below(2 * size + 2) - size)
            driver.memory.store(event, at: driver.layout.deviceOffset + 4 + 8 * size)
            for _ in 0..<count { driver.add([1]) }
            let isKicked = DeviceQueueKicksTests.reference(event: event, old: index, count: count)
            #expect(driver.queue.publish() == isKicked, "\(event) from \(index) by \(count)")
            for _ in 0..<count {
                let slot = Int(index) % size
                let head = driver.memory.load(
                    UInt16.self, at: driver.layout.driverOffset + 4 + 2 * slot)
                driver.use(index, id: UInt32(head))
                index &+= 1
            }
            while try driver.next() != nil {}
            kicks += isKicked ? 1 : 0
        }
        #expect(kicks > rounds / 10 && kicks < rounds)
        #expect(index < 0xff00)
    }

    @Test(arguments: sizes) func packedKicksAtTheEventAlone(size: Int) throws {
        var driver = try RawDriver(size: size, features: [.eventIndex, .packedRing])
        let rounds = size > 8 ? 300 : 2000
        var random = SeededGenerator(seed: 6)
        var position = PackedPosition(rawValue: 0x8000)
        var kicks = 0
        for _ in 0..<rounds {
            let count = 1 + random.below(size)
            var event = PackedPosition(rawValue: 0)
            event.index = UInt16(random.below(size))
            event.wrap = random.below(2) == 0
            driver.memory.store(
                UInt32(event.rawValue) | 2 << 16, at: driver.layout.deviceOffset)
            for _ in 0..<count { driver.add([1]) }
            let isKicked = DeviceQueueKicksTests.reference(
                event: event, old: position, count: count, size: size)
            #expect(driver.queue.publish() == isKicked, "\(event) from \(position) by \(count)")
            for _ in 0..<count {
                let place = Int(position.index)
                driver.usePacked(
                    place, id: UInt16(driver.descriptor(place)[2]), flags: position.usedFlags)
                position.advance(by: 1, size: size)
            }
            while try driver.next() != nil {}
            kicks += isKicked ? 1 : 0
        }
        #expect(kicks > rounds / 10 && kicks < rounds)
    }

    @Test(arguments: [0, 1, 2, 3] as [UInt16]) func splitKicksByTheFlag(flags: UInt16) throws {
        var driver = try RawDriver(size: 4)
        driver.memory.store(0x8000 as UInt16, at: driver.layout.deviceOffset + 4 + 32)
        driver.memory.store(flags, at: driver.layout.deviceOffset)
        driver.add([1])
        #expect(driver.queue.publish() == (flags & 1 == 0))
        #expect(driver.queue.publish() == false)
    }

    @Test(arguments: [(0, true), (1, false), (2, true), (3, true)] as [(UInt32, Bool)])
    func packedKicksByTheFlags(flags: UInt32, isKicked: Bool) throws {
        var driver = try RawDriver(size: 4, features: .packedRing)
        driver.memory.store(flags << 16 | 2, at: driver.layout.deviceOffset)
        driver.add([1])
        #expect(driver.queue.publish() == isKicked)
    }

    @Test(arguments: [false, true]) func splitAsksForCalls(byIndex: Bool) throws {
        var driver = try RawDriver(size: 4, features: byIndex ? .eventIndex : [])
        driver.queue.disableCalls()
        let flags = driver.layout.driverOffset
        #expect(driver.memory.load(UInt16.self, at: flags) == (byIndex ? 0 : 1))
        driver.show([1])
        driver.use(0, id: 0)
        #expect(driver.queue.enableCalls() == true)
        #expect(try driver.next() == [0, 0])
        #expect(driver.queue.enableCalls() == false)
        #expect(driver.memory.load(UInt16.self, at: flags) == 0)
        #expect(driver.memory.load(UInt16.self, at: flags + 4 + 8) == (byIndex ? 1 : 0))
    }

    @Test(arguments: [false, true]) func packedAsksForCalls(byIndex: Bool) throws {
        var driver = try RawDriver(
            size: 4, features: byIndex ? [.eventIndex, .packedRing] : .packedRing)
        let flags = driver.layout.driverOffset
        driver.queue.disableCalls()
        #expect(driver.memory.load(UInt32.self, at: flags) == 1 << 16)
        driver.show([1, 1, 1])
        driver.usePacked(0, id: 0)
        #expect(driver.queue.enableCalls() == true)
        #expect(try driver.next() == [0, 0])
        #expect(driver.queue.enableCalls() == false)
        #expect(driver.memory.load(UInt32.self, at: flags) == (byIndex ? 2 << 16 | 0x8003 : 0))
    }
}
