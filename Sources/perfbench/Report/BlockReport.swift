import CommandSupport
import Histogram

/// One path of one case, as reported.
struct BlockRun: Codable {
    var workload = "block"
    let via: BlockVia
    let path: BlockPath
    let rw: ReadWrite
    let blockBytes: Int
    let depth: Int
    let rounds: Int
    /// Rounds before those, which were discarded (``WarmUp``).
    var warmupRounds: Int?
    let iops: Estimate
    /// The rate of every round, in order.
    let iopsOfRounds: [Double]
    let bwBytes: Double
    let cpuNsPerOp: Double
    let cpuNsPerOpInterval: Estimate
    var cpuNsPerOpOfRounds: [Double]?
    let userNsPerOp: Double
    let systemNsPerOp: Double
    let clatNs: Latency
    let copiedBytesPerOp: Double
    let poolFull: Int
    let errors: Int
    /// Whether payloads were transferred as fixed buffers.
    let fixedBuffers: Bool

    /// Completion latency, from the start of the mapping to the end of the unmapping.
    struct Latency: Codable {
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
        _ result: BlockMeasurement.CaseResult, lane: BlockLane, samples: [RoundSample],
        latencies: LatencyHistogram, fixedBuffers: Bool
    ) {
        via = lane.via
        path = lane.path
        rw = result.plan.pattern
        blockBytes = result.plan.blockByteCount
        depth = result.plan.depth
        rounds = samples.count
        warmupRounds = result.warmUpRoundCount
        iops = Estimate(samples.map(\.iops))
        iopsOfRounds = samples.map(\.iops)
        bwBytes = iops.median * Double(result.plan.blockByteCount)
        cpuNsPerOpInterval = Estimate(samples.map(\.cpuNanosecondsPerOperation))
        cpuNsPerOpOfRounds = samples.map(\.cpuNanosecondsPerOperation)
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
        _ results: [BlockMeasurement.CaseResult], on stand: BlockStand, lanes: [BlockLane],
        host: HostFacts, interrupted: Bool, failure: String?
    ) {
        self.host = host
        self.interrupted = interrupted
        self.failure = failure
        runs = []
        ratios = []
        floors = []
        for result in results where result.roundCount > 0 {
            for lane in lanes {
                guard let samples = result.samples[lane], let latencies = result.latencies[lane],
                    let loop = stand.loops[lane]
                else { continue }
                runs.append(
                    BlockRun(
                        result, lane: lane, samples: samples, latencies: latencies,
                        fixedBuffers: loop.facts.usesFixedBuffers))
            }
            for lane in lanes {
                func ratios(to via: BlockVia, _ path: BlockPath) -> [Ratio] {
                    let base = BlockLane(via: via, path: path)
                    return base == lane ? [] : Self.ratios(result, of: lane, to: base)
                }
                self.ratios += ratios(to: lane.via, .direct)
                if lane.path == .bounce {
                    self.ratios += ratios(to: lane.via, .directFixed)
                    self.ratios += ratios(to: lane.via, .bounceUnregistered)
                }
                if lane.via != .engine { self.ratios += ratios(to: .engine, lane.path) }
            }
            let floor = Estimate(result.floors)
            floors.append(
                Floor(
                    rw: result.plan.pattern, blockBytes: result.plan.blockByteCount,
                    depth: result.plan.depth, memcpyNs: floor.median, low: floor.low,
                    high: floor.high))
        }
    }

    /// The ratios of one lane to another, where both were measured.
    ///
    /// `iops` and `cpu_ns_per_op` are quotients. `added_cpu_per_floor` is what the one path needs
    /// more CPU time per operation than the other, in units of the floor of the same round.
    private static func ratios(
        _ result: BlockMeasurement.CaseResult, of lane: BlockLane, to base: BlockLane
    ) -> [Ratio] {
        guard let samples = result.samples[lane], let bases = result.samples[base] else {
            return []
        }
        func ratio(_ metric: String, _ values: [Double]) -> Ratio {
            let estimate = Estimate(values)
            return Ratio(
                workload: "block", via: lane.via.rawValue,
                toVia: base.via == lane.via ? nil : base.via.rawValue, metric: metric,
                of: lane.path.rawValue, to: base.path.rawValue, rw: result.plan.pattern,
                blockBytes: result.plan.blockByteCount, depth: result.plan.depth,
                median: estimate.median, low: estimate.low, high: estimate.high, ofRounds: values,
                detectable: estimate.detectable(roundCount: values.count))
        }
        let pairs = zip(samples, bases)
        var ratios = [
            ratio("iops", pairs.map { $0.iops / $1.iops }),
            ratio(
                "cpu_ns_per_op",
                pairs.map { $0.cpuNanosecondsPerOperation / $1.cpuNanosecondsPerOperation }),
        ]
        if lane.path.bounces, !base.path.bounces {
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
    var firstFailure: CommandFailure? {
        lazy.flatMap(\.samples.values).joined().compactMap(\.firstFailure).first
    }
}
