import CommandSupport
import Histogram

/// Completion latencies in nanoseconds, to three digits, up to a minute.
typealias LatencyHistogram = Histogram<UInt64>

extension LatencyHistogram {
    static func forCompletions() -> Self {
        Histogram(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    }
}

/// What one path did in one round.
struct RoundSample {
    var operationCount = 0
    var errorCount = 0
    /// What the first request that failed says.
    var firstFailure: CommandFailure?
    var seconds = 0.0
    var cpu = CPUTime(user: 0, system: 0)
    var copiedByteCount = 0
    /// Requests that had to wait for the pool.
    var poolFullCount = 0

    /// Refuses a round in which nothing was done: there is no time of an operation then.
    func check(_ lane: BlockLane) throws(CommandFailure) {
        guard operationCount == 0 else { return }
        throw firstFailure
            ?? CommandFailure(
                .ioError,
                "no request ended in a round of \(lane.description); use more --round-seconds")
    }

    var iops: Double { Double(operationCount) / seconds }
    var cpuNanosecondsPerOperation: Double { perOperation(cpu.total) }
    var userNanosecondsPerOperation: Double { perOperation(cpu.user) }
    var systemNanosecondsPerOperation: Double { perOperation(cpu.system) }
    var copiedBytesPerOperation: Double { perOperation(Double(copiedByteCount)) }

    private func perOperation(_ amount: Double) -> Double {
        amount / Double(max(operationCount, 1))
    }
}
