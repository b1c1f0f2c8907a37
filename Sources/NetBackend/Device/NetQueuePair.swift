import Logging
import SharedMemory
public import Virtqueue

/// A pair of queues of a network device without a thread: for a program that has both sides of the queues
/// in one thread of its own. Kicks are not waited for, and calls are the caller's to make.
///
/// **Threading.** Belongs to the thread that made it. **Cost.** Nothing is allocated after `init`.
public struct NetQueuePair: ~Copyable {
    // Of each kind of port its own, so that the loop over frames is compiled with the port's code in it.
    private var drop: NetPair<DropPort>?
    private var loopback: NetPair<LoopbackPort>?
    private var tap: NetPair<TapPort>?

    /// - Parameters:
    ///   - transmit: the queue by which the driver sends.
    ///   - receive: the queue by which it receives; `nil` where it does not.
    ///   - mtu: the greatest length of a packet, where that was negotiated.
    /// - Throws: where a queue cannot be used, or the system refuses something.
    public init(
        _ connection: NetConnection, transmit: QueueSetup, receive: QueueSetup?, mtu: Int = 1500
    ) throws(QueueStartFailure) {
        var space = NetConfiguration()
        space.mtu = UInt16(mtu)
        let state = NetState(space)
        switch connection {
        case .drop:
            drop = try Self.pair(state, transmit, receive) { _ in DropPort() }
        case .loopback:
            loopback = try Self.pair(state, transmit, receive) { _ in LoopbackPort() }
        case .tap(let device):
            let logger = Logger(label: "NetBackend")
            tap = try Self.pair(state, transmit, receive) { ring throws(SystemCallError) in
                try TapPort(device, queue: 0, state: state, &ring, logger: logger)
            }
        }
    }

    private static func pair<Port: NetPort & ~Copyable>(
        _ state: NetState, _ transmit: QueueSetup, _ receive: QueueSetup?,
        _ makePort: (inout NetRing) throws(SystemCallError) -> Port
    ) throws(QueueStartFailure) -> NetPair<Port> {
        var pair = try QueueStartFailure.system { () throws(SystemCallError) in
            var ring = try NetRing(entryCount: TapPort.entryCount)
            let port = try makePort(&ring)
            return NetPair(port: port, ring: ring)
        }
        try pair.start(.transmit, unkicked(transmit), state: state)
        if let receive { try pair.start(.receive, unkicked(receive), state: state) }
        return pair
    }

    private static func unkicked(_ setup: QueueSetup) -> QueueSetup {
        var setup = setup
        setup.kick = nil
        setup.call = nil
        return setup
    }

    /// Takes a burst of frames that the driver has made available, hands them on, and shows the driver
    /// what was done.
    ///
    /// - Returns: whether there was anything to do.
    /// - Throws: where the driver broke a queue's rules; the pair is not to be used any more.
    @inline(never)
    public mutating func turn() throws(NetFault) -> Bool {
        if drop != nil { return try drop?.turn() ?? false }
        if tap != nil { return try tap?.turn() ?? false }
        return try loopback?.turn() ?? false
    }

    /// Waits for something to do, where there was nothing in the last turn: for a port that has operations
    /// under way, until one of them ends, or the time is over.
    public mutating func wait(timeoutNanoseconds: Int64) throws(NetFault) {
        if tap?.port.hasOperations == true {
            try tap?.ring.enter(timeoutNanoseconds: timeoutNanoseconds)
        }
    }

    /// Ends what is under way; to be called before the pair is dropped.
    public mutating func end() {
        drop?.end()
        loopback?.end()
        tap?.end()
    }

    /// What the pair has done.
    public var statistics: NetPairStatistics {
        mutating get {
            drop?.totalStatistics ?? loopback?.totalStatistics ?? tap?.totalStatistics
                ?? NetPairStatistics()
        }
    }
}
