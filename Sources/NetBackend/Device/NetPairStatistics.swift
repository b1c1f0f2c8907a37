/// What a pair of queues has done, and how its thread has waited.
public struct NetPairStatistics: Equatable, Sendable {
    public var transmit = TransmitStatistics()
    public var receive = ReceiveStatistics()
    /// How often a queue broke; it stops for it.
    public var faultCount = 0
    /// How often the driver was called.
    public var callCount = 0
    /// How often a kick woke the thread.
    public var kickCount = 0
    /// How often the thread waited in the kernel.
    public var waitCount = 0
    /// How often polling found something to do, and how often it gave up.
    public var pollHitCount = 0
    public var pollMissCount = 0
    /// Commands of the control queue that were obeyed, and that were answered with an error.
    public var commandCount = 0
    public var refusedCommandCount = 0

    public init() {}

    /// Adds what another pair, or the same one at another time, has done.
    public mutating func add(_ other: Self) {
        transmit.add(other.transmit)
        receive.add(other.receive)
        faultCount += other.faultCount
        callCount += other.callCount
        kickCount += other.kickCount
        waitCount += other.waitCount
        pollHitCount += other.pollHitCount
        pollMissCount += other.pollMissCount
        commandCount += other.commandCount
        refusedCommandCount += other.refusedCommandCount
    }
}
