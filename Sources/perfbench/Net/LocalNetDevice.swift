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

    var drops: [String: Int] {
        mutating get {
            let statistics = pair.statistics
            var drops: [String: Int] = [:]
            for refusal in FrameRefusal.allCases {
                drops["\(refusal)"] = statistics.transmit[refusal]
            }
            drops["rejected"] = statistics.transmit.rejectedCount
            drops["filtered"] = statistics.receive.filteredCount
            drops["receivedTooLong"] = statistics.receive.tooLongCount
            drops["unexpectedOffload"] = statistics.receive.unexpectedOffloadCount
            return drops.filter { $0.value > 0 }
        }
    }

    mutating func end() {
        pair.end()
    }
}
