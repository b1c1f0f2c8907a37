import SystemPackage

/// What a queue has done since it was started.
public struct BlockQueueStatistics: Sendable {
    public var readCount = 0
    public var writeCount = 0
    public var flushCount = 0
    /// Discards and write-zeroes.
    public var discardCount = 0
    /// Changes that were made durable before they ended, for the cache writes through.
    public var writeThroughCount = 0
    public var identifyCount = 0
    /// Requests that were wrong in themselves.
    public var refusedCount = 0
    /// Requests that ended with a status other than OK, refused ones among them.
    public var failedCount = 0
    /// Bytes that were written into the driver's memory.
    public var writtenByteCount = 0
    /// How often the queue broke; it stops for it, so at most 1 a start.
    public var faultCount = 0
    /// How often the driver was called.
    public var callCount = 0
    /// How often a kick woke the queue.
    public var kickCount = 0
    /// How often the queue waited in the kernel.
    public var waitCount = 0
    /// How often polling found something to do, and how often it gave up.
    public var pollHitCount = 0
    public var pollMissCount = 0

    /// The first error of its kind since it was asked for last, for a log.
    var newErrno: Errno?
    /// Which errors have been seen, a bit each; two that are 64 apart count as one.
    private var seen: UInt64 = 0

    public init() {}

    /// How many requests there were.
    public var requestCount: Int {
        readCount + writeCount + flushCount + discardCount + identifyCount + refusedCount
    }

    /// Adds what another queue, or the same one at another time, has done.
    public mutating func add(_ other: Self) {
        readCount += other.readCount
        writeCount += other.writeCount
        flushCount += other.flushCount
        discardCount += other.discardCount
        writeThroughCount += other.writeThroughCount
        identifyCount += other.identifyCount
        refusedCount += other.refusedCount
        failedCount += other.failedCount
        writtenByteCount += other.writtenByteCount
        faultCount += other.faultCount
        callCount += other.callCount
        kickCount += other.kickCount
        waitCount += other.waitCount
        pollHitCount += other.pollHitCount
        pollMissCount += other.pollMissCount
    }

    mutating func note(_ errno: Errno) {
        let bit: UInt64 = 1 << UInt64(errno.rawValue & 63)
        if seen & bit == 0 { newErrno = errno }
        seen |= bit
    }
}
