import BlockBackend
import SharedMemory

/// The requests of one case: the same sequence for every path of a round.
struct RequestSource {
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
    }

    /// The next request, whose payload is `buffer`.
    mutating func next(
        into buffer: GuestRange
    ) -> (buffer: GuestRange, operation: BlockOperation, sector: UInt64) {
        let block: Int
        if pattern.isRandom {
            block = random.next(below: blockCount)
        } else {
            block = nextBlock
            nextBlock = block + 1 == blockCount ? 0 : block + 1
        }
        let writes = pattern.isMixed ? random.next() & 1 == 0 : pattern.writes
        return (buffer, writes ? .write : .read, UInt64(block * sectorsPerBlock))
    }
}
