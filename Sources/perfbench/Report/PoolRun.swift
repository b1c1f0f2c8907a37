/// One case through one variant, as reported.
struct PoolRun: Codable {
    var workload = "pool"
    let path: PoolPath
    let op: PoolOperation
    /// The buffers' length; of a churn the mean.
    let bytes: Int
    let threads: Int
    /// The part of the pool's slots in use besides the measured mappings; a churn's own.
    let occupancy: Double
    /// Mappings live on each thread; absent for a churn.
    let live: Int?
    let rounds: Int
    /// Rounds before those, which were discarded (``WarmUp``).
    var warmupRounds: Int?
    /// CPU time of an operation: one mapping made and one ended; of a churn, one made or one ended.
    let nsPerOp: Estimate
    var nsPerOpOfRounds: [Double]?
    /// By the clock on the wall, of all threads together.
    let opsPerSecond: Estimate
    /// Attempts to map and those refused, in all rounds; of a churn, in the steps before the first.
    let maps: Int
    let refusals: Int
    let refusedShare: Double
    /// Of a churn: how long a map took, the reading of the clock subtracted.
    let mapLatencyNs: BlockRun.Latency?
    /// What was subtracted.
    let clockNs: UInt64?

    init(_ result: PoolMeasurement.CaseResult, variant: PoolVariant, samples: [PoolSample]) {
        path = variant.path
        op = result.plan.operation
        bytes = result.plan.byteCount
        threads = variant.threadCount
        occupancy = Double(result.plan.occupancyPercent) / 100
        live = op == .churn ? nil : result.liveCount
        rounds = samples.count
        warmupRounds = result.warmUpRoundCount
        nsPerOp = Estimate(samples.map(\.cpuNanosecondsPerOperation))
        nsPerOpOfRounds = samples.map(\.cpuNanosecondsPerOperation)
        opsPerSecond = Estimate(samples.map(\.operationsPerSecond))
        let wear = result.wear[variant]
        maps = wear?.mapCount ?? samples.reduce(0) { $0 + $1.mapCount }
        refusals = wear?.refusalCount ?? samples.reduce(0) { $0 + $1.refusalCount }
        refusedShare = Double(refusals) / Double(max(maps, 1))
        mapLatencyNs = result.latencies[variant].map { BlockRun.Latency($0) }
        clockNs = mapLatencyNs == nil ? nil : result.clockNanoseconds
    }
}
