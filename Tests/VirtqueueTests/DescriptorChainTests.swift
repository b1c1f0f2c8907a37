import SharedMemory
import Testing

@testable import Virtqueue

struct DescriptorChainTests {
    private func range(_ address: UInt64, _ byteCount: Int) -> GuestRange {
        GuestRange(address: GuestAddress(address), byteCount: byteCount)
    }

    /// - Parameter parts: address, length and whether it is to write.
    private func chain(
        capacity: Int, _ parts: [(UInt64, Int, Bool)]
    ) throws(QueueFault) -> DescriptorChain {
        var chain = DescriptorChain(capacity: capacity)
        for (address, byteCount, isWritable) in parts {
            try chain.append(range(address, byteCount), isWritable: isWritable)
        }
        return chain
    }

    @Test func countsBothSides() throws {
        let chain = try chain(capacity: 4, [(1, 10, false), (2, 0, false), (3, 5, true)])
        #expect(chain.buffer.parts == [range(1, 10), range(2, 0), range(3, 5)])
        #expect(chain.readableCount == 2)
        #expect(chain.writableCount == 1)
        #expect(chain.readableByteCount == 10)
        #expect(chain.writableByteCount == 5)
        #expect(chain.isCutShort == false)
    }

    @Test func lastPartOfALongBufferIsKept() throws {
        let chain = try chain(
            capacity: 2, [(1, 10, false), (2, 20, true), (3, 30, true), (4, 40, true)])
        #expect(chain.isCutShort == true)
        #expect(chain.buffer == TestBuffer(parts: [range(1, 10), range(4, 40)], readableCount: 1))
        #expect(chain.readableByteCount == 10)
        #expect(chain.writableByteCount == 90)
    }

    @Test func writablePartBehindAsManyReadableAsFitIsWritable() throws {
        let parts: [(UInt64, Int, Bool)] = [(1, 10, false), (2, 20, false), (3, 30, true)]
        let chain = try chain(capacity: 2, parts)
        #expect(chain.buffer == TestBuffer(parts: [range(1, 10), range(3, 30)], readableCount: 1))
        for byteCount in [0, 1] {
            #expect(throws: QueueFault.readableAfterWritable) {
                _ = try self.chain(capacity: 2, parts + [(4, byteCount, false)])
            }
        }
    }

    @Test func emptyPartDoesNotTakeTheLastOnesPlace() throws {
        let kept = try chain(
            capacity: 2, [(1, 10, false), (2, 20, false), (3, 30, true), (4, 0, true)])
        #expect(kept.buffer == TestBuffer(parts: [range(1, 10), range(3, 30)], readableCount: 1))
        // And counts as writable where it is not kept.
        #expect(throws: QueueFault.readableAfterWritable) {
            _ = try self.chain(
                capacity: 2, [(1, 10, false), (2, 20, false), (3, 0, true), (4, 1, false)])
        }
    }

    @Test func chainIsFilledAgain() throws {
        var chain = try chain(capacity: 1, [(1, 10, false), (2, 20, true)])
        #expect(chain.isCutShort == true)
        chain.removeAll()
        try chain.append(range(7, 3), isWritable: false)
        #expect(chain.buffer == TestBuffer(parts: [range(7, 3)], readableCount: 1))
        #expect(chain.isCutShort == false)
        #expect(chain.readableByteCount == 3)
        #expect(chain.writableByteCount == 0)
    }
}
