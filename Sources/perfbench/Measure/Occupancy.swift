import Glibc
import SharedMemory
import SwiotlbPool
import Synchronization

/// How much of a pool was in use over a time.
struct Occupancy: Codable, Equatable {
    /// The slots that the pool has.
    let slots: Int
    /// When it was looked at, in milliseconds since the first look.
    let ms: [Double]
    /// The slots in mappings at each look, without those of rings.
    let usedSlots: [Int]
}

extension Occupancy {
    private static let lookCountMax = 256

    /// Looks at a pool from another thread while `body` runs.
    ///
    /// Not while anything is timed: each look takes some microseconds of a processor.
    ///
    /// - Parameter seconds: how long `body` is going to take; there are 200 looks in that time.
    /// - Throws: what `body` throws; `SystemCallError` where there is no thread to be had.
    init(of pool: BouncePool, seconds: Double, while body: () throws -> Void) throws {
        let watch = Watch()
        watch.look(at: pool)
        let pause = UInt32(min(max(seconds * 1e6 / 200, 200), 900_000))
        let thread = try WorkerThread(name: "occupancy") {
            for _ in 1..<Self.lookCountMax where !watch.isOver.load(ordering: .relaxed) {
                usleep(pause)
                watch.look(at: pool)
            }
        }
        do {
            defer {
                watch.isOver.store(true, ordering: .relaxed)
                thread.join()
            }
            try body()
        }
        let looks = watch.looks.withLock { $0 }
        slots = pool.statistics.slotCount
        ms = looks.map { Double($0.nanoseconds - looks[0].nanoseconds) / 1e6 }
        usedSlots = looks.map(\.slotCount)
    }
}

/// What the watching thread shares with the one that it watches.
private final class Watch: Sendable {
    struct Look {
        let nanoseconds: UInt64
        let slotCount: Int
    }

    let isOver = Atomic(false)
    let looks = Mutex<[Look]>([])

    func look(at pool: BouncePool) {
        let statistics = pool.statistics
        let look = Look(
            nanoseconds: monotonicNanoseconds(),
            slotCount: statistics.usedSlotCount - statistics.coherentSlotCount)
        looks.withLock { $0.append(look) }
    }
}
