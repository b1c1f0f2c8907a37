import BlockBackend
import SharedMemory
import Testing
import Virtqueue

/// A request was not taken, though the engine had room.
struct NotEnqueued: Error {}

// Synchronous use of an engine, one request after another. A test of `#expect` cannot hold the
// engine itself, which is not copyable; it looks at what these return.
extension BlockEngine {
    /// Waits until every request has completed.
    mutating func finishAll() throws -> [BlockCompletion] {
        var all: [BlockCompletion] = []
        while !isIdle {
            try submitAndWait()
            while let completion = nextCompletion() { all.append(completion) }
        }
        return all
    }

    private mutating func finishOne(_ tag: UInt64) throws -> BlockCompletion {
        let all = try finishAll()
        let completion = try #require(all.first)
        #expect(all.count == 1)
        #expect(completion.tag == tag)
        return completion
    }

    mutating func run(_ operation: BlockOperation, sector: UInt64 = 0) throws -> BlockCompletion {
        let tag = 0xFEED_0000_0000_0000 | (sector & 0xFFFF)
        guard enqueue(operation, sector: sector, tag: tag) else { throw NotEnqueued() }
        return try finishOne(tag)
    }

    mutating func run(
        _ operation: BlockOperation, sector: UInt64, payload: GuestRange
    ) throws -> BlockCompletion {
        let tag = 0xFEED_1000_0000_0000 | (sector & 0xFFFF)
        guard enqueue(operation, sector: sector, payload: payload, tag: tag) else {
            throw NotEnqueued()
        }
        return try finishOne(tag)
    }

    mutating func run(
        _ operation: BlockOperation, sector: UInt64, list: [GuestRange]
    ) throws -> BlockCompletion {
        let tag = 0xFEED_2000_0000_0000 | (sector & 0xFFFF)
        guard enqueue(operation, sector: sector, payload: list.span, tag: tag) else {
            throw NotEnqueued()
        }
        return try finishOne(tag)
    }
}

extension GuestRange {
    init(_ address: UInt64, _ byteCount: Int) {
        self.init(address: GuestAddress(address), byteCount: byteCount)
    }
}
