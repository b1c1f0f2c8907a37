import BasicContainers
import SharedMemory
import Virtqueue

// What becomes of a request between the two queues: decoded, handed to the engine step by step,
// answered.
extension BlockQueue {
    /// Begins a request whose chain is in its row.
    @inline(__always)
    mutating func begin(_ row: Int) throws(QueueFault) {
        let base = row * configuration.rangeCountMax
        let request = try Self.decode(row, of: &rows, ranges: &ranges, at: base, by: decoder)
        rows[row].statusAddress = request.statusAddress
        rows[row].status = request.status
        rows[row].step = .only
        switch request.kind {
        case .read:
            statistics.readCount += 1
            start(row, .read, request)
        case .write:
            statistics.writeCount += 1
            rows[row].step = cache.isWriteback ? .only : .flushAfterwards
            start(row, .write, request)
        case .flush:
            statistics.flushCount += 1
            start(row, .flush, request)
        case .identify:
            identify(row, request)
        case .discard(let count), .writeZeroes(let count):
            statistics.discardCount += 1
            rows[row].rangeCount = count
            rows[row].nextRange = 0
            if case .discard = request.kind {
                rows[row].step = .discard
            } else {
                rows[row].step = .writeZeroes
            }
            startRange(row)
        case .refused(let status):
            statistics.refusedCount += 1
            finish(row, status, payloadByteCount: 0)
        }
    }

    /// Static, so that nothing of self is copied for it.
    @inline(__always)
    private static func decode(
        _ row: Int, of rows: inout RigidArray<BlockQueueRow>,
        ranges: inout RigidArray<BlockSegment>, at first: Int,
        by decoder: borrowing BlockRequestDecoder
    ) throws(QueueFault) -> BlockRequest {
        try decoder.decode(&rows[row].chain, segments: &ranges, at: first)
    }

    @inline(__always)
    private mutating func start(_ row: Int, _ operation: BlockOperation, _ request: BlockRequest) {
        Self.enqueue(operation, request, rows, row, into: &engine)
    }

    @inline(__always)
    private static func enqueue(
        _ operation: BlockOperation, _ request: BlockRequest,
        _ rows: borrowing RigidArray<BlockQueueRow>, _ row: Int, into engine: inout BlockEngine
    ) {
        let payload = request.payload
        let tag = UInt64(row)
        let isEnqueued =
            payload.count == 1
            ? engine.enqueue(
                operation, sector: request.sector, payload: rows[row].chain[payload.lowerBound],
                tag: tag)
            : engine.enqueue(
                operation, sector: request.sector,
                payload: rows[row].chain.parts.span.extracting(payload),
                tag: tag)
        precondition(isEnqueued, "the engine has room for every row")
    }

    /// Begins the next range of a discard or write-zeroes request.
    private mutating func startRange(_ row: Int) {
        let range = ranges[row * configuration.rangeCountMax + rows[row].nextRange]
        rows[row].nextRange += 1
        let isTooLong = range.sectorCount > configuration.rangeSectorCountMax
        // Beyond the end of any storage, so that the engine refuses it.
        let sectorCount = isTooLong ? UInt64.max : UInt64(range.sectorCount)
        let operation: BlockOperation =
            rows[row].step == .discard
            ? .discard(sectorCount: sectorCount)
            : .writeZeroes(
                sectorCount: sectorCount, mayUnmap: range.flags & BlockSegment.mayUnmap != 0)
        let isEnqueued = engine.enqueue(operation, sector: range.sector, tag: UInt64(row))
        precondition(isEnqueued, "the engine has room for every row")
    }

    /// Whether a request has more to do than what has just ended, and begins it.
    @inline(__always)
    mutating func goesOn(_ row: Int, after completion: BlockCompletion) -> Bool {
        if rows[row].step == .only || completion.status != .ok { return false }
        switch rows[row].step {
        case .discard, .writeZeroes:
            if rows[row].nextRange < rows[row].rangeCount {
                startRange(row)
                return true
            }
            if cache.isWriteback { return false }
        case .flushAfterwards: break
        case .only: return false
        }
        rows[row].step = .only
        statistics.writeThroughCount += 1
        let isEnqueued = engine.enqueue(.flush, tag: UInt64(row))
        precondition(isEnqueued, "the engine has room for every row")
        return true
    }

    private mutating func identify(_ row: Int, _ request: BlockRequest) {
        statistics.identifyCount += 1
        var done = 0
        for index in request.payload where done < blockIdentifierByteCount {
            let part = rows[row].chain[index]
            let count = min(part.byteCount, blockIdentifierByteCount - done)
            let source = identifier.hostRange(offset: done, byteCount: count)
            // SAFETY: the source lives as long as self.
            guard
                unsafe decoder.memoryMap.copy(
                    from: source, to: part.slice(offset: 0, byteCount: count))
            else {
                finish(row, .ioError, payloadByteCount: done)
                return
            }
            done += count
        }
        finish(row, .ok, payloadByteCount: done)
    }

    /// Writes a request's status and gives it back.
    @inline(__always)
    mutating func finish(_ row: Int, _ status: BlockStatus, payloadByteCount: Int) {
        // SAFETY: the memory map, which the byte is in, lives as long as self.
        unsafe rows[row].status.store(status.rawValue)
        if status != .ok { statistics.failedCount += 1 }
        statistics.writtenByteCount += payloadByteCount
        if dirtyLog != nil {
            // The kernel does not tell what it wrote before it failed: all of it may be changed.
            logWrites(row, payloadByteCount: status == .ok ? payloadByteCount : .max)
        }
        // The status is the last byte: all before it counts as written only where it was.
        let isComplete = payloadByteCount + 1 == rows[row].chain.writableByteCount
        queue.use(
            rows[row].chain.token,
            writtenByteCount: isComplete ? payloadByteCount + 1 : payloadByteCount)
        freeRows.append(row)
    }

    private func logWrites(_ row: Int, payloadByteCount: Int) {
        dirtyLog?.mark(GuestRange(address: rows[row].statusAddress, byteCount: 1))
        var left = payloadByteCount
        for index in rows[row].chain.readableCount..<rows[row].chain.count where left > 0 {
            let part = rows[row].chain[index]
            let count = min(part.byteCount, left)
            dirtyLog?.mark(part.slice(offset: 0, byteCount: count))
            left -= count
        }
    }
}
