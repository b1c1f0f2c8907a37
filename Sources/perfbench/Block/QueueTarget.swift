import BlockBackend
import GuestDriver
import SharedMemory
import SwiotlbPool
import Virtqueue

/// Driver and device on the two sides of a virtqueue, both in this thread: what queue, headers and
/// status cost, and nothing of what waking another thread does.
struct QueueTarget<Mapper: DMAMapper & ~Copyable>: ~Copyable, BlockTarget {
    private var driver: BlockDriver<Mapper>
    private var device: BlockQueue

    init(driver: consuming BlockDriver<Mapper>, device: consuming BlockQueue) {
        self.driver = driver
        self.device = device
    }

    var copiedByteCount: Int { driver.copiedByteCount }
    var cpuTime: CPUTime { .now }
    var isIdle: Bool { driver.inflightCount == 0 }

    mutating func connect() {}
    mutating func disconnect() {}

    mutating func start(_ request: RequestSource.Request, row: Int) throws -> Bool {
        try driver.start(request, row: row)
    }

    mutating func submit() throws {
        _ = driver.publish()
        _ = try device.fetch()
        try device.submit()
    }

    mutating func submitAndWait() throws {
        _ = driver.publish()
        _ = try device.fetch()
        try device.submitAndWait()
        _ = device.reap()
        _ = device.publish()
    }

    mutating func nextCompletion() throws -> TargetCompletion? {
        if !driver.hasCompletion {
            // As an engine's completions are: taken as they come, not only after a wait.
            guard device.reap() > 0 else { return nil }
            _ = device.publish()
        }
        guard let completion = try driver.nextCompletion() else { return nil }
        return TargetCompletion(
            row: Int(completion.tag), status: completion.status, errno: nil)
    }
}

extension BlockDriver where Mapper: ~Copyable {
    /// Makes a request; false where the pool is full.
    mutating func start(_ request: RequestSource.Request, row: Int) throws(MapRefusal) -> Bool {
        do throws(MapRefusal) {
            let isMade = try submit(
                request.operation, sector: request.sector, payload: request.buffer,
                tag: UInt64(row))
            precondition(isMade, "the driver has room for every row")
            return true
        } catch {
            guard error.isTemporary else { throw error }
            return false
        }
    }
}
