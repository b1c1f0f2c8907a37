/// What one variant did in one round, on all of its threads.
struct PoolSample: Sendable {
    var operationCount = 0
    /// Attempts to map, and those that were refused.
    var mapCount = 0
    var refusalCount = 0
    /// CPU time of all threads.
    var cpuNanoseconds = 0.0
    /// Operations a second by the clock on the wall, of all threads together.
    var operationsPerSecond = 0.0

    /// What one operation costs the thread that performs it.
    var cpuNanosecondsPerOperation: Double { cpuNanoseconds / Double(max(operationCount, 1)) }

    /// Operations a second that all threads together could perform were each alone on a processor;
    /// what other programs take of the machine does not change it.
    func operationsPerCPUSecond(threadCount: Int) -> Double {
        Double(threadCount) * 1e9 / max(cpuNanosecondsPerOperation, 1e-9)
    }

    static func += (left: inout PoolSample, right: PoolSample) {
        left.operationCount += right.operationCount
        left.mapCount += right.mapCount
        left.refusalCount += right.refusalCount
        left.cpuNanoseconds += right.cpuNanoseconds
        left.operationsPerSecond += right.operationsPerSecond
    }
}
