import SharedMemory
import Testing

@testable import Virtqueue

struct DriverQueuePackedTests {
    @Test func descriptorsAreAsTheSpecificationSays() throws {
        var driver = try RawDriver(size: 4, features: .packedRing)
        driver.add([16, 5, 1], readable: 2, tag: 1)
        // The first is shown last.
        #expect(driver.descriptor(0) == [0x1000, 0, 0, 0])
        #expect(driver.descriptor(1) == [0x1001, 5, 0, 0x81])
        #expect(driver.descriptor(2) == [0x1002, 1, 0, 0x82])
        #expect(driver.queue.publish() == true)
        #expect(driver.descriptor(0) == [0x1000, 16, 0, 0x81])
        #expect(driver.add([1, 1]) == false)
        #expect(driver.add([1]) == true)
    }

    @Test func secondLap() throws {
        var driver = try RawDriver(size: 4, features: .packedRing)
        driver.show([1, 1, 1], readable: 3, tag: 1)
        driver.usePacked(0, id: 0)
        #expect(try driver.next() == [1, 0])
        // The next used descriptor comes behind the whole list, and id 0 is free again.
        driver.show([1, 7], readable: 1, tag: 2)
        #expect(driver.descriptor(3) == [0x1000, 1, 0, 0x81])
        #expect(driver.descriptor(0) == [0x1001, 7, 0, 0x8002])
        driver.usePacked(3, id: 0, length: 7, flags: Lap.firstUsed | Flag.write)
        #expect(try driver.next() == [2, 7])
        driver.show([9], tag: 3)
        #expect(driver.descriptor(1) == [0x1000, 9, 0, 0x8002])
        #expect(try driver.next() == nil)
        driver.usePacked(1, id: 0, length: 9, flags: Lap.secondUsed | Flag.write)
        #expect(try driver.next() == [3, 9])
    }

    @Test func indirectTable() throws {
        var driver = try RawDriver(
            size: 4, features: [.packedRing, .indirectDescriptors], tableLength: 3)
        driver.show([16, 5, 1], readable: 1, tag: 2)
        let table = driver.layout.tableOffset
        #expect(driver.descriptor(0) == [RawRing.base.rawValue + UInt64(table), 48, 0, 0x84])
        #expect(driver.descriptor(table / 16) == [0x1000, 16, 0, 0])
        #expect(driver.descriptor(table / 16 + 1) == [0x1001, 5, 0, 2])
        #expect(driver.descriptor(table / 16 + 2) == [0x1002, 1, 0, 2])
    }

    @Test(
        arguments: [
            Lap.firstAvailable, Lap.secondAvailable, Lap.secondUsed, Flag.write,
        ] as [UInt16])
    func wrongWrapBitsAreNotUsed(flags: UInt16) throws {
        var driver = try RawDriver(size: 4, features: .packedRing)
        driver.show([1])
        driver.usePacked(0, id: 0, flags: flags)
        #expect(driver.queue.hasUsed == false)
        #expect(try driver.next() == nil)
    }

    @Test(arguments: [1, 3, 4, 0x8000, 0xffff] as [UInt16]) func idsThatAreNotWithTheDevice(
        id: UInt16
    ) throws {
        var driver = try RawDriver(size: 4, features: .packedRing)
        driver.show([1, 1])
        driver.usePacked(0, id: id)
        #expect(driver.fault() == .unknownBuffer(id: Int(id)))
    }

    @Test func sameIDTwice() throws {
        var driver = try RawDriver(size: 4, features: .packedRing)
        driver.show([1])
        driver.show([1])
        driver.usePacked(0, id: 0)
        driver.usePacked(1, id: 0)
        #expect(try driver.next() == [0, 0])
        #expect(driver.fault() == .unknownBuffer(id: 0))
    }

    @Test func lengthCountsOnlyWithTheFlag() throws {
        var driver = try RawDriver(size: 4, features: .packedRing)
        driver.show([16, 4], readable: 1, tag: 9)
        driver.usePacked(0, id: 0, length: .max)
        #expect(try driver.next() == [9, 0])
        driver.show([16, 4], readable: 1, tag: 9)
        driver.usePacked(2, id: 0, length: 5, flags: Lap.firstUsed | Flag.write)
        #expect(driver.fault() == .usedLengthOutOfRange(byteCount: 5))
    }

    /// A ring that is full of used descriptors while nothing is with the device.
    @Test(arguments: [VirtioFeatures(), .inOrder]) func nothingIsUsedOfNothing(
        order: VirtioFeatures
    ) throws {
        var driver = try RawDriver(size: 4, features: order.union(.packedRing))
        for place in 0..<4 { driver.usePacked(place, id: 0) }
        #expect(driver.queue.hasUsed == false)
        #expect(try driver.next() == nil)
        // Nor of what was not shown.
        driver.add([1, 1])
        driver.usePacked(0, id: 0)
        #expect(driver.queue.enableCalls() == false)
        #expect(try driver.next() == nil)
    }

    @Test func inOrderBatch() throws {
        var driver = try RawDriver(size: 8, features: [.packedRing, .inOrder])
        driver.show([10, 2], tag: 1)
        driver.show([3], tag: 2)
        driver.show([4], tag: 3)
        driver.usePacked(0, id: 1, length: 1, flags: Lap.firstUsed | Flag.write)
        #expect(try driver.next() == [1, 12])
        #expect(try driver.next() == [2, 1])
        #expect(try driver.next() == nil)
        driver.usePacked(3, id: 2)
        #expect(try driver.next() == [3, 0])
    }

    /// The device names a buffer that the driver has made, and shown to nobody.
    @Test func inOrderBatchThatEndsWithWhatWasNotShown() throws {
        var driver = try RawDriver(size: 8, features: [.packedRing, .inOrder])
        driver.show([10], readable: 1, tag: 1)
        driver.add([10])
        driver.usePacked(0, id: 1)
        #expect(try driver.next() == [1, 0])
        #expect(driver.fault() == .unknownBuffer(id: 1))
        #expect(driver.queue.inflightCount == 1)
    }

    @Test(arguments: [3, 8, 0xffff] as [UInt16]) func inOrderBatchThatEndsNowhere(
        id: UInt16
    ) throws {
        var driver = try RawDriver(size: 8, features: [.packedRing, .inOrder])
        for tag in 0..<3 as Range<UInt64> { driver.show([10], tag: tag) }
        driver.usePacked(0, id: id)
        #expect(driver.fault() == .unknownBuffer(id: Int(id)))
        #expect(driver.queue.inflightCount == 3)
    }
}
