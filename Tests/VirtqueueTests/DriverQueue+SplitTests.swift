import SharedMemory
import Testing

@testable import Virtqueue

/// A driver against a device played by hand, a hostile one above all.
struct DriverQueueSplitTests {
    @Test func descriptorsAreAsTheSpecificationSays() throws {
        var driver = try RawDriver(size: 4)
        driver.add([16, 5, 1], readable: 2, tag: 1)
        #expect(driver.memory.load(UInt16.self, at: driver.layout.driverOffset + 2) == 0)
        #expect(driver.queue.publish() == true)
        #expect(driver.descriptor(0) == [0x1000, 16, 1, 1])
        #expect(driver.descriptor(1) == [0x1001, 5, 1, 2])
        #expect(driver.descriptor(2) == [0x1002, 1, 2, 0])
        #expect(driver.memory.load(UInt16.self, at: driver.layout.driverOffset + 2) == 1)
        #expect(driver.memory.load(UInt16.self, at: driver.layout.driverOffset + 4) == 0)
        #expect(driver.add([1, 1]) == false)
        #expect(driver.add([1]) == true)
    }

    @Test func indirectTable() throws {
        var driver = try RawDriver(size: 4, features: .indirectDescriptors, tableLength: 3)
        driver.show([1], tag: 1)
        driver.show([16, 5, 1], readable: 1, tag: 2)
        let table = driver.layout.tableOffset + 1 * 3 * 16
        #expect(driver.descriptor(1) == [RawRing.base.rawValue + UInt64(table), 48, 4, 0])
        #expect(driver.descriptor(table / 16) == [0x1000, 16, 1, 1])
        #expect(driver.descriptor(table / 16 + 1) == [0x1001, 5, 3, 2])
        #expect(driver.descriptor(table / 16 + 2) == [0x1002, 1, 2, 0])
        // Longer than a table: in the ring, where there are two left.
        #expect(driver.add([1, 1, 1, 1]) == false)
        driver.use(0, id: 1, length: 6)
        #expect(try driver.next() == [2, 6])
    }

    @Test(arguments: [2, 3, 0x8000, 0xffff] as [UInt16]) func usedIndexJumps(
        index: UInt16
    ) throws {
        var driver = try RawDriver(size: 4)
        driver.show([1])
        driver.storeUsedIndex(index)
        #expect(driver.fault() == .usedIndexOutOfRange(used: index, next: 0))
    }

    @Test func usedIndexGoesBack() throws {
        var driver = try RawDriver(size: 4)
        driver.show([1])
        driver.use(0, id: 0)
        #expect(try driver.next() == [0, 0])
        driver.show([1])
        driver.storeUsedIndex(0)
        #expect(driver.fault() == .usedIndexOutOfRange(used: 0, next: 1))
    }

    /// What was added and not shown the device cannot have used.
    @Test func usedIndexBeyondWhatWasShown() throws {
        var driver = try RawDriver(size: 4)
        driver.show([1])
        driver.add([1])
        driver.storeUsedIndex(2)
        #expect(driver.fault() == .usedIndexOutOfRange(used: 2, next: 0))
    }

    @Test(arguments: [1, 2, 3, 4, 5, 0xffff, 0x1_0000, .max] as [UInt32])
    func idsThatAreNotWithTheDevice(id: UInt32) throws {
        // A chain of two from 0, then 2: 1 is no head, 3 is free.
        var driver = try RawDriver(size: 4)
        driver.show([1, 1])
        driver.show([1])
        driver.use(0, id: id)
        if id == 2 {
            #expect(try driver.next() == [0, 0])
        } else {
            #expect(driver.fault() == .unknownBuffer(id: Int(id)))
        }
    }

    @Test func sameIDTwice() throws {
        var driver = try RawDriver(size: 4)
        driver.show([1])
        driver.show([1])
        driver.use(0, id: 0)
        driver.use(1, id: 0)
        #expect(try driver.next() == [0, 0])
        #expect(driver.fault() == .unknownBuffer(id: 0))
    }

    @Test(arguments: [6, 17, .max] as [UInt32]) func lengthBeyondWhatWasWritable(
        length: UInt32
    ) throws {
        var driver = try RawDriver(size: 4)
        driver.show([16, 4, 1], readable: 1, tag: 9)
        driver.use(0, id: 0, length: length)
        #expect(driver.fault() == .usedLengthOutOfRange(byteCount: Int(length)))
        driver = try RawDriver(size: 4)
        driver.show([16, 4, 1], readable: 1, tag: 9)
        driver.use(0, id: 0, length: 5)
        #expect(try driver.next() == [9, 5])
    }

    /// In the order of the ring, and linked so, round the end of the table (2.7.5).
    @Test func inOrderDescriptorsAreThoseOfTheRing() throws {
        var driver = try RawDriver(size: 4, features: .inOrder)
        driver.show([1, 1], tag: 1)
        driver.show([1], tag: 2)
        driver.storeUsed(0, id: 2, length: 1)
        driver.storeUsedIndex(2)
        #expect(try driver.next() == [1, 2])
        #expect(try driver.next() == [2, 1])
        driver.show([7, 8, 9], tag: 3)
        #expect(driver.memory.load(UInt16.self, at: driver.layout.driverOffset + 8) == 3)
        #expect(driver.descriptor(3) == [0x1000, 7, 3, 0])
        #expect(driver.descriptor(0) == [0x1001, 8, 3, 1])
        #expect(driver.descriptor(1) == [0x1002, 9, 2, 0])
    }

    /// Buffers that are skipped count as filled, which they are to who negotiated it (2.7.9).
    @Test func inOrderBatch() throws {
        var driver = try RawDriver(size: 4, features: .inOrder)
        for tag in 0..<3 as Range<UInt64> { driver.show([10], tag: tag) }
        driver.storeUsed(0, id: 1, length: 3)
        driver.storeUsedIndex(2)
        #expect(try driver.next() == [0, 10])
        #expect(driver.queue.hasUsed == true)
        #expect(try driver.next() == [1, 3])
        #expect(driver.queue.hasUsed == false)
        #expect(try driver.next() == nil)
        driver.storeUsed(2, id: 2, length: 0)
        driver.storeUsedIndex(3)
        #expect(try driver.next() == [2, 0])
    }

    @Test(arguments: [3, 4, .max] as [UInt32]) func inOrderBatchThatEndsNowhere(
        id: UInt32
    ) throws {
        var driver = try RawDriver(size: 4, features: .inOrder)
        for tag in 0..<3 as Range<UInt64> { driver.show([10], tag: tag) }
        driver.storeUsed(0, id: id, length: 0)
        driver.storeUsedIndex(3)
        // Nothing comes back for it.
        #expect(driver.fault() == .unknownBuffer(id: Int(id)))
        #expect(driver.queue.inflightCount == 3)
    }

    @Test func inOrderBatchLongerThanTheIndexSays() throws {
        var driver = try RawDriver(size: 4, features: .inOrder)
        for tag in 0..<3 as Range<UInt64> { driver.show([10], tag: tag) }
        driver.storeUsed(0, id: 2, length: 0)
        driver.storeUsedIndex(2)
        #expect(try driver.next() == [0, 10])
        #expect(try driver.next() == [1, 10])
        #expect(driver.fault() == .unknownBuffer(id: 2))
    }

    @Test func inOrderBatchOfWhatWasGivenBackBefore() throws {
        var driver = try RawDriver(size: 4, features: .inOrder)
        for tag in 0..<3 as Range<UInt64> { driver.show([10], tag: tag) }
        driver.use(0, id: 0, length: 10)
        #expect(try driver.next() == [0, 10])
        driver.use(1, id: 0, length: 10)
        #expect(driver.fault() == .unknownBuffer(id: 0))
    }
}
