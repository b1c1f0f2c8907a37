import BasicContainers
import BlockBackend
import SharedMemory
import SwiotlbPool
import Virtqueue

/// A mapper and an engine, with no queue in between.
struct EngineTarget<Mapper: DMAMapper & ~Copyable>: ~Copyable, BlockTarget {
    private var mapper: Mapper
    private var engine: BlockEngine
    private var rows: RigidArray<Row>
    /// What one request's mappings are for the backend.
    private var payload: RigidArray<GuestRange>

    /// A request under way.
    private struct Row: ~Copyable {
        var mappings: RigidArray<DMAMapping>
    }

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
            rows.append(Row(mappings: RigidArray(capacity: mappingCountMax)))
        }
    }

    var copiedByteCount: Int { mapper.copiedByteCount }
    var cpuTime: CPUTime { .now }
    var isIdle: Bool { engine.isIdle }

    mutating func connect() {}
    mutating func disconnect() {}

    mutating func start(_ request: RequestSource.Request, row: Int) throws -> Bool {
        guard try map(request, row: row) else { return false }
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
        unmap(row: row, usedByteCount: completion.writtenByteCount)
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

    /// Maps a request's buffer in as few mappings as the mapper allows, all or nothing.
    private mutating func map(_ request: RequestSource.Request, row: Int) throws -> Bool {
        let buffer = request.buffer
        let direction: DMADirection = request.operation == .write ? .toDevice : .fromDevice
        payload.removeAll()
        var done = 0
        while done < buffer.byteCount {
            let count = min(buffer.byteCount - done, mapper.maximumMappingByteCount)
            do throws(MapRefusal) {
                let mapping = try mapper.map(
                    buffer.slice(offset: done, byteCount: count), direction)
                payload.append(mapping.deviceRange)
                rows[row].mappings.append(mapping)
            } catch {
                unmap(row: row, usedByteCount: 0)
                guard error.isTemporary else { throw error }
                return false
            }
            done += count
        }
        return true
    }

    private mutating func unmap(row: Int, usedByteCount: Int) {
        // The last mapping first: what it used is what those before it leave.
        var before = 0
        for index in 0..<rows[row].mappings.count {
            before += rows[row].mappings[index].byteCount
        }
        while !rows[row].mappings.isEmpty {
            let mapping = rows[row].mappings.removeLast()
            before -= mapping.byteCount
            mapper.unmap(mapping, usedByteCount: usedByteCount - before)
        }
    }
}
