import BasicContainers
import BlockBackend
import CommandSupport
import Histogram
import SharedMemory
import SystemPackage
import Virtqueue

/// The driver side of a measurement: keeps a number of requests under way, one started for each
/// that ends, for a time.
struct ClosedLoop<Target: BlockTarget & ~Copyable>: ~Copyable {
    private var target: Target
    private var isConnected = false
    /// When each request that is under way was begun.
    private var startNanoseconds: RigidArray<UInt64>
    private var freeRows: RigidArray<Int>
    /// A request that found the pool full. It starts before any other.
    private var heldBack: HeldBack?

    /// Latencies of all rounds since the last ``reset()``.
    private(set) var latencies = LatencyHistogram.forCompletions()

    private struct HeldBack {
        let request: RequestSource.Request
        let startNanoseconds: UInt64
    }

    /// Bytes of the requests that have ended since requests were handed over last.
    private var doneByteCount = 0
    /// How many of them there may be before what was started meanwhile is handed over: few after a
    /// wait, when the storage may have nothing to do, then more.
    private var doneByteCountPerSubmit = 1

    private static var doneByteCountPerSubmitMax: Int { 65536 }

    /// How long requests run before they are counted: past the filling of the queue.
    private static var warmUpNanoseconds: UInt64 { 5_000_000 }

    /// - Parameter rowCount: the most requests under way.
    init(_ target: consuming Target, rowCount: Int) {
        self.target = target
        startNanoseconds = RigidArray(capacity: rowCount)
        freeRows = RigidArray(capacity: rowCount)
        for _ in 0..<rowCount { startNanoseconds.append(0) }
    }

    mutating func reset() {
        latencies.reset()
    }

    /// Leaves the target to others, until the next request.
    mutating func disconnect() {
        if isConnected { target.disconnect() }
        isConnected = false
    }

    private mutating func connect() throws {
        guard !isConnected else { return }
        try target.connect()
        isConnected = true
    }

    /// Runs one case for a time.
    ///
    /// - Throws: `SystemCallError` of the ring, or `CommandFailure` where the disk is full or a backend
    ///   is gone. Nothing is under way and nothing is mapped afterwards in any case.
    mutating func run(
        _ plan: BlockCase, buffers: inout GuestBuffers, source: inout RequestSource,
        seconds: Double
    ) throws -> RoundSample {
        try connect()
        do {
            let sample = try keepBusy(
                plan, buffers: &buffers, source: &source, seconds: seconds)
            try drain()
            return sample
        } catch {
            // Where the target itself fails nothing can be waited for, and this throws again.
            try drain()
            throw error
        }
    }

    private mutating func keepBusy(
        _ plan: BlockCase, buffers: inout GuestBuffers, source: inout RequestSource,
        seconds: Double
    ) throws -> RoundSample {
        freeRows.removeAll()
        for row in (0..<plan.depth).reversed() { freeRows.append(row) }
        var sample = RoundSample()
        var diskFull: CommandFailure?
        var isWarm = false
        var now = monotonicNanoseconds()
        var begin = now
        var phaseEnd = now + Self.warmUpNanoseconds
        var cpuBegin = target.cpuTime
        var copiedBegin = target.copiedByteCount
        while diskFull == nil, !Interruption.isRequested {
            if now >= phaseEnd {
                if isWarm { break }
                isWarm = true
                sample = RoundSample()
                cpuBegin = target.cpuTime
                copiedBegin = target.copiedByteCount
                begin = monotonicNanoseconds()
                phaseEnd = begin + UInt64(seconds * 1e9)
            }
            sample.poolFullCount += try startAll(&buffers, &source, at: now)
            doneByteCount = 0
            doneByteCountPerSubmit = 1
            try target.submitAndWait()
            // The time, too, ends this loop: requests that complete as they are handed over, as those of
            // a page cache do, would keep it going for ever.
            while now < phaseEnd, let completion = try target.nextCompletion() {
                freeRows.append(completion.row)
                now = monotonicNanoseconds()
                if completion.status == .ok {
                    sample.operationCount += 1
                    if isWarm { latencies.record(now &- startNanoseconds[completion.row]) }
                } else {
                    sample.errorCount += 1
                    sample.firstFailure = sample.firstFailure ?? Self.failure(completion)
                    if completion.errno == .noSpace { diskFull = sample.firstFailure }
                }
                sample.poolFullCount += try startAll(&buffers, &source, at: now)
                doneByteCount += plan.blockByteCount
                try submitEarly()
            }
        }
        sample.seconds = Double(now - begin) / 1e9
        sample.cpu = target.cpuTime - cpuBegin
        sample.copiedByteCount = target.copiedByteCount - copiedBegin
        if let diskFull { throw diskFull }
        return sample
    }

    /// Performs one request and waits for its end.
    ///
    /// - Throws: `CommandFailure` where it does not end well.
    mutating func perform(_ request: RequestSource.Request) throws {
        try connect()
        guard try target.start(request, row: 0) else {
            throw CommandFailure(
                .usage, "the window has no room for one request; use a larger --window")
        }
        var failure: CommandFailure?
        while !target.isIdle {
            try target.submitAndWait()
            while let completion = try target.nextCompletion() {
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

    /// Hands over what was started once enough requests have ended meanwhile.
    ///
    /// What is done for a request that ends, copying above all, takes time in which the storage could
    /// work already on the next ones: they must not wait for a whole batch.
    private mutating func submitEarly() throws {
        guard doneByteCount >= doneByteCountPerSubmit else { return }
        doneByteCountPerSubmit = min(doneByteCount * 2, Self.doneByteCountPerSubmitMax)
        doneByteCount = 0
        try target.submit()
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
        guard try target.start(request, row: row) else {
            heldBack = HeldBack(request: request, startNanoseconds: begin)
            return false
        }
        heldBack = nil
        freeRows.removeLast()
        startNanoseconds[row] = begin
        return true
    }

    /// Lets everything under way end, and forgets what was held back.
    private mutating func drain() throws {
        heldBack = nil
        while !target.isIdle {
            try target.submitAndWait()
            while try target.nextCompletion() != nil {}
        }
    }

    private static func failure(_ completion: TargetCompletion) -> CommandFailure {
        switch (completion.errno, completion.status) {
        case (.noSpace?, _):
            CommandFailure(.ioError, "the disk is full; make room, or use a --file elsewhere")
        case (let errno?, _): CommandFailure(.ioError, "a request failed (\(errno))")
        case (nil, .unsupported):
            CommandFailure(.ioError, "the backend does not support a request")
        case (nil, _):
            CommandFailure(
                .ioError,
                "a request failed: the backend refused it, or the file was cut short meanwhile")
        }
    }
}
