import BasicContainers
import BlockBackend
import Histogram
import SharedMemory
import SwiotlbPool
import SystemPackage

/// The driver side of a measurement: keeps a number of requests under way, one started for each
/// that ends, for a time.
///
/// Generic over the mapper, and the same for every path otherwise: between `direct` and `bounce`
/// differ the mapper's answers and the backend's memory map, nothing else.
struct ClosedLoop<Mapper: DMAMapper & ~Copyable>: ~Copyable {
    private var mapper: Mapper
    private var engine: BlockEngine
    private var requests: RigidArray<Request>
    private var freeRows: RigidArray<Int>
    /// A request that found the pool full, and starts before any other.
    private var heldBack: (buffer: GuestRange, operation: BlockOperation, sector: UInt64)?
    /// What one request's mappings are for the backend.
    private var payload: RigidArray<GuestRange>

    /// Latencies of all measured rounds since the last ``reset()``.
    private(set) var latencies = LatencyHistogram.forCompletions()

    /// A request under way.
    private struct Request: ~Copyable {
        var mappings: RigidArray<DMAMapping>
        var startNanoseconds: UInt64 = 0
    }

    /// How much the mapper had copied when requests were handed over last.
    private var copiedAtSubmit = 0

    /// How many bytes are copied before what was enqueued meanwhile is handed over.
    private static var copiedByteCountPerSubmit: Int { 65536 }

    /// How long requests run before they are counted: past the filling of the queue.
    private static var warmUpNanoseconds: UInt64 { 5_000_000 }

    /// - Parameters:
    ///   - depthMax: the most requests under way.
    ///   - blockByteCountMax: the longest payload.
    init(
        mapper: consuming Mapper, engine: consuming BlockEngine, depthMax: Int,
        blockByteCountMax: Int
    ) {
        let mappingMax = mapper.maximumMappingByteCount
        let mappingCountMax = (blockByteCountMax - 1) / mappingMax + 1
        self.mapper = mapper
        self.engine = engine
        requests = RigidArray(capacity: depthMax)
        freeRows = RigidArray(capacity: depthMax)
        payload = RigidArray(capacity: mappingCountMax)
        for _ in 0..<depthMax {
            requests.append(Request(mappings: RigidArray(capacity: mappingCountMax)))
        }
    }

    mutating func reset() {
        latencies.reset()
    }

    /// Runs one case for a time.
    ///
    /// - Throws: `SystemCallError` of the ring, or `BenchFailure` where the disk is full. Nothing
    ///   is under way and nothing is mapped afterwards in any case.
    mutating func run(
        _ plan: BlockCase, buffers: inout GuestBuffers, source: inout RequestSource,
        seconds: Double, measures: Bool
    ) throws -> RoundSample {
        freeRows.removeAll()
        for row in (0..<plan.depth).reversed() { freeRows.append(row) }
        var sample = RoundSample()
        var failure: BenchFailure?
        var isWarm = false
        var now = monotonicNanoseconds()
        var begin = now
        var phaseEnd = now + Self.warmUpNanoseconds
        var cpuBegin = CPUTime.now
        var copiedBegin = mapper.copiedByteCount
        while failure == nil, !Interruption.isRequested {
            if now >= phaseEnd {
                if isWarm { break }
                isWarm = true
                sample = RoundSample()
                cpuBegin = .now
                copiedBegin = mapper.copiedByteCount
                begin = monotonicNanoseconds()
                phaseEnd = begin + UInt64(seconds * 1e9)
            }
            sample.poolFullCount += try startAll(&buffers, &source, at: now)
            copiedAtSubmit = mapper.copiedByteCount
            try engine.submitAndWait()
            // The time, too, ends this loop: requests that complete as they are handed over, as those of
            // a page cache do, would keep it going for ever.
            while now < phaseEnd, let completion = engine.nextCompletion() {
                finish(completion)
                now = monotonicNanoseconds()
                if completion.status == .ok {
                    sample.operationCount += 1
                } else {
                    sample.errorCount += 1
                    failure = failure ?? Self.failure(completion)
                }
                if measures, isWarm {
                    let row = Int(completion.tag)
                    latencies.record(now &- requests[row].startNanoseconds)
                }
                sample.poolFullCount += try startAll(&buffers, &source, at: now)
                try submitAfterCopies()
            }
        }
        sample.seconds = Double(now - begin) / 1e9
        sample.cpu = CPUTime.now - cpuBegin
        sample.copiedByteCount = mapper.copiedByteCount - copiedBegin
        try drain()
        if let failure { throw failure }
        return sample
    }

    /// Performs one request and waits for its end.
    ///
    /// - Throws: `BenchFailure` where it does not end well.
    mutating func perform(
        _ operation: BlockOperation, sector: UInt64, buffer: GuestRange
    ) throws {
        freeRows.removeAll()
        guard try map(buffer, operation == .write ? .toDevice : .fromDevice, row: 0) else {
            throw BenchFailure(.usage, "the window has no room for one request")
        }
        Self.enqueue(operation, sector: sector, payload: payload, tag: 0, into: &engine)
        var failure: BenchFailure?
        while !engine.isIdle {
            try engine.submitAndWait()
            while let completion = engine.nextCompletion() {
                finish(completion)
                if completion.status != .ok { failure = Self.failure(completion) }
            }
        }
        if let failure { throw failure }
    }

    /// Starts a request for every free row.
    ///
    /// - Returns: 1 where the pool was full, else 0.
    private mutating func startAll(
        _ buffers: inout GuestBuffers, _ source: inout RequestSource, at now: UInt64
    ) throws -> Int {
        while !freeRows.isEmpty {
            guard try start(&buffers, &source, at: now) else { return 1 }
        }
        return 0
    }

    /// Hands over what was enqueued once enough has been copied meanwhile.
    ///
    /// Copies take time in which the storage could work already, so they must not hold up requests
    /// by a whole batch. Where nothing is copied, nothing is handed over early.
    private mutating func submitAfterCopies() throws {
        let copied = mapper.copiedByteCount
        guard copied - copiedAtSubmit >= Self.copiedByteCountPerSubmit else { return }
        copiedAtSubmit = copied
        try engine.submit()
    }

    /// Starts one request.
    ///
    /// - Returns: false where the pool is full: the request waits for a completion.
    private mutating func start(
        _ buffers: inout GuestBuffers, _ source: inout RequestSource, at now: UInt64
    ) throws -> Bool {
        let row = freeRows[freeRows.count - 1]
        let (buffer, operation, sector) = heldBack ?? source.next(into: buffers.next())
        guard try map(buffer, operation == .write ? .toDevice : .fromDevice, row: row) else {
            heldBack = (buffer, operation, sector)
            return false
        }
        heldBack = nil
        freeRows.removeLast()
        requests[row].startNanoseconds = now
        Self.enqueue(operation, sector: sector, payload: payload, tag: UInt64(row), into: &engine)
        return true
    }

    private static func enqueue(
        _ operation: BlockOperation, sector: UInt64, payload: borrowing RigidArray<GuestRange>,
        tag: UInt64, into engine: inout BlockEngine
    ) {
        let isEnqueued =
            payload.count == 1
            ? engine.enqueue(operation, sector: sector, payload: payload[0], tag: tag)
            : engine.enqueue(operation, sector: sector, payload: payload.span, tag: tag)
        precondition(isEnqueued, "the engine has room for every row")
    }

    /// Maps a request's buffer in as few mappings as the mapper allows, all or none.
    private mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection, row: Int
    ) throws -> Bool {
        payload.removeAll()
        var done = 0
        while done < buffer.byteCount {
            let count = min(buffer.byteCount - done, mapper.maximumMappingByteCount)
            do throws(MapRefusal) {
                let mapping = try mapper.map(
                    buffer.slice(offset: done, byteCount: count), direction)
                payload.append(mapping.deviceRange)
                requests[row].mappings.append(mapping)
            } catch {
                unmap(row: row, usedByteCount: 0)
                guard error.isTemporary else {
                    throw BenchFailure(.usage, "a guest buffer cannot be mapped (\(error))")
                }
                return false
            }
            done += count
        }
        return true
    }

    /// Ends a request's mappings, copying out what the backend wrote.
    private mutating func finish(_ completion: BlockCompletion) {
        let row = Int(completion.tag)
        unmap(row: row, usedByteCount: completion.writtenByteCount)
        freeRows.append(row)
    }

    private mutating func unmap(row: Int, usedByteCount: Int) {
        // The last mapping first: what it used is what those before it leave.
        var before = 0
        for index in 0..<requests[row].mappings.count {
            before += requests[row].mappings[index].buffer.byteCount
        }
        while !requests[row].mappings.isEmpty {
            let mapping = requests[row].mappings.removeLast()
            before -= mapping.buffer.byteCount
            mapper.unmap(mapping, usedByteCount: usedByteCount - before)
        }
    }

    /// Lets everything under way end.
    private mutating func drain() throws {
        while !engine.isIdle {
            try engine.submitAndWait()
            while let completion = engine.nextCompletion() { finish(completion) }
        }
    }

    private static func failure(_ completion: BlockCompletion) -> BenchFailure {
        switch completion.errno {
        case .noSpace?: BenchFailure(.ioError, "the disk is full")
        case let errno?: BenchFailure(.ioError, "a request failed (\(errno))")
        case nil:
            BenchFailure(.ioError, "a request failed: the file was cut short while it was read")
        }
    }
}
