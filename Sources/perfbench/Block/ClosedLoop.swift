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
    /// A request that found the pool full. It keeps the mappings it has got, and its row, the last of
    /// the free ones, and starts before any other.
    private var heldBack: HeldBack?
    /// What one request's mappings are for the backend.
    private var payload: RigidArray<GuestRange>

    /// Latencies of all measured rounds since the last ``reset()``.
    private(set) var latencies = LatencyHistogram.forCompletions()

    private struct HeldBack {
        let request: RequestSource.Request
        let startNanoseconds: UInt64
    }

    /// A request under way.
    private struct Request: ~Copyable {
        var mappings: RigidArray<DMAMapping>
        var startNanoseconds: UInt64 = 0
    }

    /// Bytes of the requests that have ended since requests were handed over last.
    private var doneByteCount = 0

    /// How many of them there may be before what was enqueued meanwhile is handed over.
    private static var doneByteCountPerSubmit: Int { 65536 }

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
        do {
            let sample = try keepBusy(
                plan, buffers: &buffers, source: &source, seconds: seconds, measures: measures)
            try drain()
            return sample
        } catch {
            // Where the ring itself fails nothing can be waited for, and this throws again.
            try drain()
            throw error
        }
    }

    private mutating func keepBusy(
        _ plan: BlockCase, buffers: inout GuestBuffers, source: inout RequestSource,
        seconds: Double, measures: Bool
    ) throws -> RoundSample {
        freeRows.removeAll()
        for row in (0..<plan.depth).reversed() { freeRows.append(row) }
        var sample = RoundSample()
        var diskFull: BenchFailure?
        var isWarm = false
        var now = monotonicNanoseconds()
        var begin = now
        var phaseEnd = now + Self.warmUpNanoseconds
        var cpuBegin = CPUTime.now
        var copiedBegin = mapper.copiedByteCount
        while diskFull == nil, !Interruption.isRequested {
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
            doneByteCount = 0
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
                    sample.firstFailure = sample.firstFailure ?? Self.failure(completion)
                    if completion.errno == .noSpace { diskFull = sample.firstFailure }
                }
                if measures, isWarm {
                    let row = Int(completion.tag)
                    latencies.record(now &- requests[row].startNanoseconds)
                }
                sample.poolFullCount += try startAll(&buffers, &source, at: now)
                doneByteCount += plan.blockByteCount
                try submitEarly()
            }
        }
        sample.seconds = Double(now - begin) / 1e9
        sample.cpu = CPUTime.now - cpuBegin
        sample.copiedByteCount = mapper.copiedByteCount - copiedBegin
        if let diskFull { throw diskFull }
        return sample
    }

    /// Performs one request and waits for its end.
    ///
    /// - Throws: `BenchFailure` where it does not end well.
    mutating func perform(
        _ operation: BlockOperation, sector: UInt64, buffer: GuestRange
    ) throws {
        freeRows.removeAll()
        let request = RequestSource.Request(buffer: buffer, operation: operation, sector: sector)
        guard try map(request, row: 0) else {
            unmap(row: 0, usedByteCount: 0)
            throw BenchFailure(.usage, "the window has no room for one request")
        }
        enqueue(request, row: 0)
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
    /// - Returns: 1 where a request was held back that had not been before, else 0.
    private mutating func startAll(
        _ buffers: inout GuestBuffers, _ source: inout RequestSource, at now: UInt64
    ) throws -> Int {
        var wasHeldBack = heldBack != nil
        while !freeRows.isEmpty {
            guard try start(&buffers, &source, at: now) else { return wasHeldBack ? 0 : 1 }
            wasHeldBack = false
        }
        return 0
    }

    /// Hands over what was enqueued once enough requests have ended meanwhile.
    ///
    /// What is done for a request that ends, copying above all, takes time in which the storage could
    /// work already on the next ones: they must not wait for a whole batch.
    private mutating func submitEarly() throws {
        guard doneByteCount >= Self.doneByteCountPerSubmit else { return }
        doneByteCount = 0
        try engine.submit()
    }

    /// Starts one request.
    ///
    /// - Returns: false where the pool is full: the request waits for a completion.
    private mutating func start(
        _ buffers: inout GuestBuffers, _ source: inout RequestSource, at now: UInt64
    ) throws -> Bool {
        let row = freeRows[freeRows.count - 1]
        let request = heldBack?.request ?? source.next(into: buffers.next())
        let begin = heldBack?.startNanoseconds ?? now
        guard try map(request, row: row) else {
            heldBack = HeldBack(request: request, startNanoseconds: begin)
            return false
        }
        heldBack = nil
        freeRows.removeLast()
        requests[row].startNanoseconds = begin
        enqueue(request, row: row)
        return true
    }

    private mutating func enqueue(_ request: RequestSource.Request, row: Int) {
        payload.removeAll()
        for index in 0..<requests[row].mappings.count {
            payload.append(requests[row].mappings[index].deviceRange)
        }
        Self.enqueue(
            request.operation, sector: request.sector, payload: payload, tag: UInt64(row),
            into: &engine)
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

    /// Maps a request's buffer, or what is left of it, in as few mappings as the mapper allows.
    ///
    /// - Returns: false where the pool is full: what was mapped stays, and the rest is for later.
    private mutating func map(_ request: RequestSource.Request, row: Int) throws -> Bool {
        let buffer = request.buffer
        let direction: DMADirection = request.operation == .write ? .toDevice : .fromDevice
        var done = 0
        for index in 0..<requests[row].mappings.count {
            done += requests[row].mappings[index].buffer.byteCount
        }
        while done < buffer.byteCount {
            let count = min(buffer.byteCount - done, mapper.maximumMappingByteCount)
            do throws(MapRefusal) {
                requests[row].mappings.append(
                    try mapper.map(buffer.slice(offset: done, byteCount: count), direction))
            } catch {
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

    /// Lets everything under way end, and forgets what was held back.
    private mutating func drain() throws {
        if heldBack != nil {
            heldBack = nil
            unmap(row: freeRows[freeRows.count - 1], usedByteCount: 0)
        }
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
