import CommandSupport
import NetBackend
import Virtqueue

/// A device in this thread.
struct LocalNetDevice: ~Copyable, NetDeviceEnd {
    private var pair: NetQueuePair
    private var patience = Patience()

    /// How long a wait in the kernel is at most.
    private static let waitNanoseconds: Int64 = 100_000_000

    init(_ pair: consuming NetQueuePair) {
        self.pair = pair
    }

    var cpuTime: CPUTime { .now }

    mutating func advance(kicksTransmit: Bool, kicksReceive: Bool) throws {
        _ = try pair.turn()
    }

    mutating func wait(_ count: Int) throws {
        try pair.wait(timeoutNanoseconds: Self.waitNanoseconds)
        guard patience.isOver(isFirst: count == 1) else { return }
        throw CommandFailure(.unavailable, "no frame arrived within \(Patience.seconds) s")
    }

    var drops: [String: Int]? {
        mutating get {
            Dictionary(pair.statistics.drops.map { ($0.reason, $0.count) }, uniquingKeysWith: +)
        }
    }

    mutating func end() {
        pair.end()
    }
}
