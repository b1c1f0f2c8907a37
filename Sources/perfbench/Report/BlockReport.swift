import Histogram

/// One path of one case, as reported.
struct BlockRun: Encodable {
    let workload = "block"
    let via = "engine"
    let path: BlockPath
    let rw: ReadWrite
    let blockBytes: Int
    let depth: Int
    let rounds: Int
    let iops: Estimate
    /// The rate of every round, in order.
    let iopsOfRounds: [Double]
    let bwBytes: Double
    let cpuNsPerOp: Double
    let cpuNsPerOpInterval: Estimate
    let userNsPerOp: Double
    let systemNsPerOp: Double
    let clatNs: Latency
    let copiedBytesPerOp: Double
    let poolFull: Int
    let errors: Int
    /// Whether payloads were transferred as fixed buffers.
    let fixedBuffers: Bool

    /// Completion latency, from the start of the mapping to the end of the unmapping.
    struct Latency: Encodable {
        let min: UInt64
        let max: UInt64
        let mean: Double
        let stddev: Double
        /// How many completions.
        let n: UInt64
        let percentile: [String: UInt64]

        /// fio's default list.
        static let percentiles = [
            1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99,
        ]

        init(_ histogram: LatencyHistogram) {
            min = histogram.min
            max = histogram.max
            mean = histogram.mean
            stddev = histogram.stdDeviation
            n = histogram.totalCount
            percentile = Dictionary(
                uniqueKeysWithValues: Self.percentiles.map {
                    (Self.key($0), histogram.valueAtPercentile($0))
                })
        }

        /// A percentile as fio writes it: six decimal places.
        static func key(_ percentile: Double) -> String {
            let millionths = Int((percentile * 1e6).rounded())
            let fraction = String(millionths % 1_000_000)
            return "\(millionths / 1_000_000)."
                + String(repeating: "0", count: 6 - fraction.count) + fraction
        }
    }

    init(
        _ result: BlockMeasurement.CaseResult, path: BlockPath, samples: [RoundSample],
        latencies: LatencyHistogram, fixedBuffers: Bool
    ) {
        self.path = path
        rw = result.plan.pattern
        blockBytes = result.plan.blockByteCount
        depth = result.plan.depth
        rounds = samples.count
        iops = Estimate(samples.map(\.iops))
        iopsOfRounds = samples.map(\.iops)
        bwBytes = iops.median * Double(result.plan.blockByteCount)
        cpuNsPerOpInterval = Estimate(samples.map(\.cpuNanosecondsPerOperation))
        cpuNsPerOp = cpuNsPerOpInterval.median
        userNsPerOp = Estimate(samples.map(\.userNanosecondsPerOperation)).median
        systemNsPerOp = Estimate(samples.map(\.systemNanosecondsPerOperation)).median
        clatNs = Latency(latencies)
        copiedBytesPerOp = Estimate(samples.map(\.copiedBytesPerOperation)).median
        poolFull = samples.reduce(0) { $0 + $1.poolFullCount }
        errors = samples.reduce(0) { $0 + $1.errorCount }
        self.fixedBuffers = fixedBuffers
    }
}

extension Report where Run == BlockRun {
    /// Puts results together.
    init(
        _ results: [BlockMeasurement.CaseResult], on stand: BlockStand, paths: [BlockPath],
        host: HostFacts, interrupted: Bool, failure: String?
    ) {
        self.host = host
        self.interrupted = interrupted
        self.failure = failure
        runs = []
        ratios = []
        floors = []
        for result in results where result.roundCount > 0 {
            for path in paths {
                guard let samples = result.samples[path], let latencies = result.latencies[path],
                    let loop = stand.loops[path]
                else { continue }
                runs.append(
                    BlockRun(
                        result, path: path, samples: samples, latencies: latencies,
                        fixedBuffers: loop.usesFixedBuffers))
            }
            for path in paths where path != .direct {
                ratios += Self.ratios(result, of: path, to: .direct)
            }
            ratios += Self.ratios(result, of: .bounce, to: .directFixed)
            ratios += Self.ratios(result, of: .bounce, to: .bounceUnregistered)
            let floor = Estimate(result.floors)
            floors.append(
                Floor(
                    rw: result.plan.pattern, blockBytes: result.plan.blockByteCount,
                    depth: result.plan.depth, memcpyNs: floor.median, low: floor.low,
                    high: floor.high))
        }
    }

    /// The ratios of one path to another, where both were measured.
    ///
    /// `iops` and `cpu_ns_per_op` are quotients. `added_cpu_per_floor` is what the one path needs
    /// more CPU time per operation than the other, in units of the floor of the same round.
    private static func ratios(
        _ result: BlockMeasurement.CaseResult, of path: BlockPath, to base: BlockPath
    ) -> [Ratio] {
        guard let samples = result.samples[path], let bases = result.samples[base] else {
            return []
        }
        func ratio(_ metric: String, _ values: [Double]) -> Ratio {
            let estimate = Estimate(values)
            return Ratio(
                workload: "block", via: "engine", metric: metric, of: path.rawValue,
                to: base.rawValue, rw: result.plan.pattern,
                blockBytes: result.plan.blockByteCount, depth: result.plan.depth,
                median: estimate.median, low: estimate.low, high: estimate.high)
        }
        let pairs = zip(samples, bases)
        var ratios = [
            ratio("iops", pairs.map { $0.iops / $1.iops }),
            ratio(
                "cpu_ns_per_op",
                pairs.map { $0.cpuNanosecondsPerOperation / $1.cpuNanosecondsPerOperation }),
        ]
        if path.bounces, !base.bounces {
            ratios.append(
                ratio(
                    "added_cpu_per_floor",
                    zip(pairs, result.floors).map { pair, floor in
                        (pair.0.cpuNanosecondsPerOperation - pair.1.cpuNanosecondsPerOperation)
                            / floor
                    }))
        }
        return ratios
    }
}

extension [BlockMeasurement.CaseResult] {
    /// What to say where requests failed and the measurement went on.
    var firstFailure: BenchFailure? {
        lazy.flatMap(\.samples.values).joined().compactMap(\.firstFailure).first
    }
}
