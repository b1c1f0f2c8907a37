import SharedMemory
import Uring
import Virtqueue

/// A pair of queues with its port, and the turns of its thread.
///
/// One thread serves both queues of a pair. A loopback then needs no lock and no second copy between
/// them; a TAP's reads and writes go to the kernel in one system call; and a driver that waits for one
/// answer to each frame finds both ends of the way on one thread, without a wake-up between them. What
/// one thread cannot do, more pairs can: that is what they are for.
struct NetPair<Port: NetPort & ~Copyable>: ~Copyable {
    var port: Port
    var ring: NetRing
    var transmit: TransmitQueue?
    /// A transmit queue with frames under way in a ring that failed: its memory stays until the ring has ended.
    var abandoned: TransmitQueue?
    var receive: ReceiveQueue?
    var control: ControlQueue?
    /// By ``NetSide``.
    var ends = [NetEnds](repeating: NetEnds(), count: NetSide.allCases.count)
    /// What queues that are not running any more have done, and what concerns no queue alone.
    var statistics = NetPairStatistics()
    /// What `HostMemory.lossCount` was when memory was looked at last.
    private var lossCount: UInt32 = 0
    private var turnCount: UInt32 = 0

    /// After how many turns the ring is entered that nobody had to enter: what has ended, such as the
    /// wait for a first kick, does not show up before.
    private static var turnCountMax: UInt32 { 1024 }

    /// How many frames are taken before the other end is looked at again: the two sides work at once
    /// only if neither waits for the other's whole batch.
    static var burstCount: Int { 32 }

    init(port: consuming Port, ring: consuming NetRing) {
        self.port = port
        self.ring = ring
    }

    /// One turn: takes frames, hands them on, delivers what has come, shows the driver what was done.
    ///
    /// - Returns: whether there was anything to do.
    /// - Throws: where the driver broke a queue's rules (``fail(_:)``), or the system refused to go on.
    mutating func turn() throws(NetFault) -> Bool {
        collect()
        var count = takeKicks()
        if transmit != nil {
            count += try transmit?.take(into: &port, &receive, &ring, atMost: Self.burstCount) ?? 0
        }
        count += try port.turn(&transmit, &receive, &ring)
        count += try control?.answer() ?? 0
        let lost = HostMemory.lossCount
        if lost != lossCount { try checkMemory(lost) }
        // What was prepared is on its way before anybody is called.
        turnCount &+= 1
        if ring.ring.preparedCount > 0 || turnCount % Self.turnCountMax == 0 {
            try ring.enter(minimumCompletionCount: 0)
        }
        publish()
        return count > 0
    }

    /// Stops queues whose memory is gone: what is written there goes nowhere, but takes up memory of this
    /// process.
    private mutating func checkMemory(_ count: UInt32) throws(NetFault) {
        if transmit?.isMemoryLost == true { throw .transmit(.lostMemory) }
        if receive?.isMemoryLost == true { throw .receive(.lostMemory) }
        if control?.isMemoryLost == true { throw .control(.lostMemory) }
        lossCount = count
    }

    /// Takes in what has ended in the ring.
    @inline(__always)
    mutating func collect() {
        while let completion = ring.nextCompletion() { port.note(completion) }
    }

    /// Looks which queues were kicked.
    ///
    /// - Returns: how many.
    private mutating func takeKicks() -> Int {
        var count = 0
        for side in NetSide.allCases where ring.takeWake(side.wake) {
            count += 1
            switch side {
            case .receive: receive?.isReady = true
            case .transmit: transmit?.isReady = true
            case .control: control?.isReady = true
            }
        }
        statistics.kickCount += count
        return count
    }

    /// Shows the driver what was given back, and calls it where it wants to be called.
    @inline(__always)
    mutating func publish() {
        if transmit?.queue.publish() == true { call(.transmit) }
        if receive?.queue.publish() == true { call(.receive) }
        if control?.queue.publish() == true { call(.control) }
    }

    private mutating func call(_ side: NetSide) {
        guard let call = ends[side.rawValue].call else { return }
        statistics.callCount += 1
        call.signal()
    }
}
