import SharedMemory
import Testing

@testable import Virtqueue

struct DeviceQueueAheadTests {
    @Test(
        "A buffer that comes soon is where it is found when it is taken, also across the end of the ring",
        arguments: [VirtioFeatures(), .packedRing])
    func peek(features: VirtioFeatures) throws {
        var pair = try QueuePair(size: 8, features: features)
        for round in 0..<20 {
            let addresses = (0..<5).map { GuestAddress(UInt64(0x1000 + round * 8 + $0)) }
            for address in addresses {
                let isAdded = pair.driver.add(
                    GuestRange(address: address, byteCount: 1), isReadable: true, tag: 0)
                #expect(isAdded)
            }
            _ = pair.driver.publish()
            // Takes the first, and learns how many there are.
            #expect(try pair.device.next(&pair.chain))
            #expect(pair.chain[0].address == addresses[0])
            #expect(pair.device.peek(0) == addresses[1])
            #expect(pair.device.peek(3) == addresses[4])
            if features.isEmpty { #expect(pair.device.peek(4) == nil) }
            pair.device.use(pair.chain.token, writtenByteCount: 0)
            for address in addresses.dropFirst() {
                #expect(pair.device.peek(0) == address)
                #expect(try pair.device.next(&pair.chain))
                #expect(pair.chain[0].address == address)
                pair.device.use(pair.chain.token, writtenByteCount: 0)
            }
            _ = pair.device.publish()
            while try pair.driver.nextUsed() != nil {}
        }
    }

    @Test func aHeadOutsideTheRingIsNoBuffer() throws {
        var pair = try QueuePair(size: 8, features: [])
        for _ in 0..<2 {
            let isAdded = pair.driver.add(
                GuestRange(address: GuestAddress(0x1000), byteCount: 1), isReadable: true, tag: 0)
            #expect(isAdded)
        }
        _ = pair.driver.publish()
        #expect(try pair.device.next(&pair.chain))
        pair.driver.driver.store(UInt16(8), at: SplitRing.available(1))
        #expect(pair.device.peek(0) == nil)
    }

    @Test(
        "A buffer of one part is the same as a list of one",
        arguments: [VirtioFeatures(), .packedRing, .inOrder, [.inOrder, .packedRing]])
    func onePart(features: VirtioFeatures) throws {
        var pair = try QueuePair(size: 4, features: features)
        for round in 0..<10 {
            let range = GuestRange(address: GuestAddress(0x1000), byteCount: 10 + round)
            let isReadable = round % 2 == 0
            for tag in 0..<4 {
                let isAdded = pair.driver.add(range, isReadable: isReadable, tag: UInt64(tag))
                #expect(isAdded)
            }
            let isRefused = !pair.driver.add(range, isReadable: true, tag: 9)
            #expect(isRefused)
            _ = pair.driver.publish()
            for _ in 0..<4 {
                #expect(try pair.device.next(&pair.chain))
                #expect(pair.chain.count == 1 && pair.chain[0] == range)
                #expect(pair.chain.readableCount == (isReadable ? 1 : 0))
                #expect(pair.chain.readableByteCount == (isReadable ? range.byteCount : 0))
                #expect(pair.chain.writableByteCount == (isReadable ? 0 : range.byteCount))
                pair.device.use(
                    pair.chain.token, writtenByteCount: pair.chain.writableByteCount)
            }
            _ = pair.device.publish()
            for tag in 0..<4 {
                let used = try #require(try pair.driver.nextUsed())
                #expect(used.tag == UInt64(tag))
                #expect(used.writtenByteCount == (isReadable ? 0 : range.byteCount))
            }
        }
    }
}
