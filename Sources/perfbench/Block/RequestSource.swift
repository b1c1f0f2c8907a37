import BlockBackend
import SharedMemory
import Virtqueue

/// The requests that one path makes in one round.
///
/// No two paths get the same in a round: the second would find what the first has brought into a cache,
/// of the kernel, the disk, or the host.
struct RequestSource {
    struct Request {
        let buffer: GuestRange
        let operation: BlockOperation
        let sector: UInt64
    }

    private let pattern: ReadWrite
    private let sectorsPerBlock: Int
    private let blockCount: Int
    private var random: SplitMix64
    private var nextBlock = 0

    init(_ plan: BlockCase, storageByteCount: UInt64, seed: UInt64) {
        pattern = plan.pattern
        sectorsPerBlock = plan.blockByteCount / sectorByteCount
        blockCount = Int(storageByteCount / UInt64(plan.blockByteCount))
        random = SplitMix64(seed: seed)
        nextBlock = plan.pattern.isRandom ? 0 : random.next(below: blockCount)
    }

    /// The next request, whose payload is `buffer`.
    mutating func next(into buffer: GuestRange) -> Request {
        let block: Int
        if pattern.isRandom {
            block = random.next(below: blockCount)
        } else {
            block = nextBlock
            nextBlock = block + 1 == blockCount ? 0 : block + 1
        }
        let writes = pattern.isMixed ? random.next() & 1 == 0 : pattern.writes
        return Request(
            buffer: buffer, operation: writes ? .write : .read,
            sector: UInt64(block * sectorsPerBlock))
    }
}
