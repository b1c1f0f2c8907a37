import CommandSupport
import SharedMemory
import SwiotlbPool

/// Makes the stands of one case: pools of the same size, over the same memories, with the same
/// number of mappings live.
struct PoolStands {
    let memories: Memories
    let plan: PoolCase
    /// Mappings live at any time on each thread, at most.
    let liveCountMax: Int
    let occupiedSlotCount: Int
    private let slotCount: Int
    private let threadCountMax: Int

    init(memories: Memories, plan: PoolCase, liveCountMax: Int, threadCountMax: Int) {
        self.memories = memories
        self.plan = plan
        self.threadCountMax = threadCountMax
        slotCount = memories.window.byteCount / PoolSizes.slotByteCount
        self.liveCountMax = plan.operation == .churn ? 0 : liveCountMax
        occupiedSlotCount = slotCount * plan.occupancyPercent / 100
    }

    /// Makes the stand of a variant; the pool behind it is its own.
    func make(_ variant: PoolVariant) throws(CommandFailure) -> any PoolStand {
        let threadCount = variant.threadCount
        switch variant.path {
        case .pool, .poolPrefill, .poolScrubOnFree, .poolScrubOnOwnerChange, .poolQuota:
            let pool = try BounceUnderTest.makePool(
                memories, threadCount: threadCount, path: variant.path)
            return try stand(variant) { (_, cellCount) throws(CommandFailure) in
                try BounceUnderTest(
                    pool, cellCount: cellCount, hasQuota: variant.path == .poolQuota)
            }
        case .cTwin:
            let pool = TwinUnderTest.Pool(memories, threadCount: threadCount)
            return try stand(variant) { TwinUnderTest(pool, thread: $0, cellCount: $1) }
        case .linuxModel:
            let pool = LinuxModelUnderTest.Pool(memories, threadCount: threadCount)
            return try stand(variant) { LinuxModelUnderTest(pool, thread: $0, cellCount: $1) }
        case .memcpy, .loop:
            return try stand(variant) {
                CopyUnderTest(
                    memories, thread: $0, threadCount: threadCount, byteCount: plan.byteCount,
                    cellCount: $1)
            }
        }
    }

    private func stand<Pool: PoolUnderTest & ~Copyable>(
        _ variant: PoolVariant,
        _ makePool: (_ thread: Int, _ cellCount: Int) throws(CommandFailure) -> Pool
    ) throws(CommandFailure) -> any PoolStand {
        let isChurn = plan.operation == .churn
        let shares = PoolShares(
            liveCount: liveCountMax,
            fillingCountMax: isChurn || !variant.path.allocates
                ? 0 : Churn.cellCount(slotCountTarget: slotCount),
            churnSlotCount: isChurn ? occupiedSlotCount / variant.threadCount : 0)
        // Threads have their buffers apart from each other, and as many whatever their number.
        let share = memories.guest.byteCount / threadCountMax & ~4095
        let lanes = try (0..<variant.threadCount).map { thread throws(CommandFailure) in
            try PoolLane(
                shares,
                buffers: GuestBuffers(
                    offset: thread * share, guestMemoryByteCount: share,
                    bufferByteCount: plan.byteCount),
                seed: UInt64(thread + 1)
            ) { (cellCount) throws(CommandFailure) in try makePool(thread, cellCount) }
        }
        return LaneStand(lanes: lanes, address: GuestBuffers.base)
    }
}
