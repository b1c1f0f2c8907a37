import CommandSupport
import NetBackend
import Virtqueue

/// A device in this thread.
struct LocalNetDevice: ~Copyable, NetDeviceEnd {
    private var pair: NetQueuePair

    init(_ pair: consuming NetQueuePair) {
        self.pair = pair
    }

    var cpuTime: CPUTime { .now }

    mutating func advance(kicksTransmit: Bool, kicksReceive: Bool) throws {
        _ = try pair.turn()
    }

    mutating func wait(_ count: Int) throws {
        try pair.wait()
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
