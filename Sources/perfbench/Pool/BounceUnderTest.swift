import BasicContainers
import CommandSupport
import SharedMemory
import SwiotlbPool

/// The pool of this package.
struct BounceUnderTest: ~Copyable, PoolUnderTest {
    private var mapper: BounceMapper
    private var cells: RigidArray<DMAMapping?>
    private var direction = DMADirection.fromDevice
    private var copiesOut = false

    /// - Parameter hasQuota: whether the mapper's owner has one, which is never reached.
    init(_ pool: BouncePool, cellCount: Int, hasQuota: Bool) throws(CommandFailure) {
        do throws(PoolError) {
            let owner = try pool.makeOwner(name: "perfbench", quotaSlotCount: hasQuota ? .max : nil)
            mapper = try pool.makeMapper(owner: owner)
        } catch {
            throw CommandFailure(.usage, "the pool has no mapper to give (\(error))")
        }
        cells = RigidArray(capacity: cellCount)
        for _ in 0..<cellCount { cells.append(nil) }
    }

    static func makePool(
        _ memories: Memories, threadCount: Int, path: PoolPath
    ) throws(CommandFailure) -> BouncePool {
        var configuration = PoolConfiguration()
        configuration.areaCount = threadCount
        switch path {
        case .poolPrefill: configuration.copyBack = .prefill
        case .poolScrubOnFree: configuration.scrub = .onFree
        case .poolScrubOnOwnerChange: configuration.scrub = .onOwnerChange
        default: break
        }
        do throws(PoolError) {
            return try BouncePool(
                window: memories.window, at: Memories.windowBase,
                privateMemory: memories.guestMap, configuration: configuration)
        } catch {
            throw CommandFailure(.usage, "the pool cannot be made (\(error))")
        }
    }

    mutating func prepare(for operation: PoolOperation, liveCount: Int) {
        direction = operation.copiesIn ? .toDevice : .fromDevice
        copiesOut = operation.copiesOut
    }

    @inline(__always)
    mutating func map(_ buffer: GuestRange, into cell: Int) -> Bool {
        do {
            cells[cell] = try mapper.map(buffer, direction)
            return true
        } catch {
            return false
        }
    }

    @inline(__always)
    mutating func unmap(_ cell: Int) {
        guard let mapping = cells[cell].take() else { return }
        let byteCount = copiesOut ? mapping.buffer.byteCount : 0
        mapper.unmap(mapping, usedByteCount: byteCount)
    }
}
