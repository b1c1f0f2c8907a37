import BasicContainers
import BlockBackend
import GuestDriver
import SharedMemory
import SwiotlbPool
import Virtqueue

/// A mapper and an engine, with no queue in between.
struct EngineTarget<Mapper: DMAMapper & ~Copyable>: ~Copyable, BlockTarget {
    private var mapper: Mapper
    private var engine: BlockEngine
    /// The mappings of each request under way.
    private var rows: RigidArray<BufferMappings>
    /// What one request's mappings are for the backend.
    private var payload: RigidArray<GuestRange>

    /// - Parameters:
    ///   - rowCount: the most requests under way.
    ///   - blockByteCountMax: the longest payload.
    init(
        mapper: consuming Mapper, engine: consuming BlockEngine, rowCount: Int,
        blockByteCountMax: Int
    ) {
        let mappingMax = mapper.maximumMappingByteCount
        let mappingCountMax = (blockByteCountMax - 1) / mappingMax + 1
        self.mapper = mapper
        self.engine = engine
        rows = RigidArray(capacity: rowCount)
        payload = RigidArray(capacity: mappingCountMax)
        for _ in 0..<rowCount {
            rows.append(BufferMappings(countMax: mappingCountMax))
        }
    }

    var copiedByteCount: Int { mapper.copiedByteCount }
    var cpuTime: CPUTime { .now }
    var isIdle: Bool { engine.isIdle }

    mutating func connect() {}
    mutating func disconnect() {}

    mutating func start(_ request: RequestSource.Request, row: Int) throws -> Bool {
        payload.removeAll()
        do throws(MapRefusal) {
            try rows[row].map(
                request.buffer, request.operation == .write ? .toDevice : .fromDevice, by: &mapper,
                parts: &payload)
        } catch {
            guard error.isTemporary else { throw error }
            return false
        }
        Self.enqueue(request, row: row, payload: payload, into: &engine)
        return true
    }

    mutating func submit() throws {
        try engine.submit()
    }

    mutating func submitAndWait() throws {
        try engine.submitAndWait()
    }

    mutating func nextCompletion() -> TargetCompletion? {
        guard let completion = engine.nextCompletion() else { return nil }
        let row = Int(completion.tag)
        rows[row].unmap(usedByteCount: completion.writtenByteCount, by: &mapper)
        return TargetCompletion(row: row, status: completion.status, errno: completion.errno)
    }

    private static func enqueue(
        _ request: RequestSource.Request, row: Int, payload: borrowing RigidArray<GuestRange>,
        into engine: inout BlockEngine
    ) {
        let tag = UInt64(row)
        let isEnqueued =
            payload.count == 1
            ? engine.enqueue(
                request.operation, sector: request.sector, payload: payload[0], tag: tag)
            : engine.enqueue(
                request.operation, sector: request.sector, payload: payload.span, tag: tag)
        precondition(isEnqueued, "the engine has room for every row")
    }
}
