/// One lane of one case, as reported.
struct NetRun: Codable {
    var workload = "net"
    let via: NetVia
    let path: NetPath
    let sink: NetSink
    let direction: NetDirection
    let frameBytes: Int
    let burst: Int
    let rounds: Int
    /// Rounds before those, which were discarded (``WarmUp``).
    var warmupRounds: Int?
    /// Frames a second, sent and received ones together; of frames that come back, each counts once.
    let pps: Estimate
    /// The rate of every round, in order.
    let ppsOfRounds: [Double]
    /// How many of them came, where frames go both ways by a TAP device.
    let receivedPps: Double?
    /// Bits a second of frames, without headers of virtio and without gaps.
    let bps: Double
    /// CPU time of driver and device together; threads that look for work use all the time there is.
    let cpuNsPerFrame: Estimate
    var cpuNsPerFrameOfRounds: [Double]?
    /// From making one frame to having it back, or its buffer, with no other under way.
    let roundTripNs: BlockRun.Latency
    let poolFull: Int
    /// Frames that were dropped, by reason; left out where the backend does not tell.
    let drops: [String: Int]?

    init(
        _ result: NetMeasurement.CaseResult, lane: NetLane, samples: [NetSample],
        latencies: LatencyHistogram
    ) {
        via = lane.via
        path = lane.path
        sink = result.plan.sink
        direction = result.plan.direction
        frameBytes = result.plan.frameByteCount
        burst = result.plan.burst
        rounds = samples.count
        warmupRounds = result.warmUpRoundCount
        pps = Estimate(samples.map(\.framesPerSecond))
        ppsOfRounds = samples.map(\.framesPerSecond)
        receivedPps =
            sink == .tap && direction == .both
            ? Estimate(samples.map(\.receivedPerSecond)).median : nil
        bps = pps.median * Double(result.plan.frameByteCount) * 8
        cpuNsPerFrame = Estimate(samples.map(\.cpuNanosecondsPerFrame))
        cpuNsPerFrameOfRounds = samples.map(\.cpuNanosecondsPerFrame)
        roundTripNs = BlockRun.Latency(latencies)
        poolFull = samples.reduce(0) { $0 + $1.poolFullCount }
        drops = samples.reduce([:]) { sum, sample in
            guard let drops = sample.drops else { return nil }
            return sum?.merging(drops, uniquingKeysWith: +)
        }
    }
}

extension Report where Run == NetRun {
    /// Puts results together.
    init(
        _ results: [NetMeasurement.CaseResult], lanes: [NetLane], host: HostFacts,
        interrupted: Bool, failure: String?
    ) {
        self.host = host
        self.interrupted = interrupted
        self.failure = failure
        runs = []
        ratios = []
        floors = []
        for result in results where result.roundCount > 0 {
            for lane in lanes {
                guard let samples = result.samples[lane], let latencies = result.latencies[lane]
                else { continue }
                runs.append(NetRun(result, lane: lane, samples: samples, latencies: latencies))
                if lane.path == .bounce {
                    ratios += Self.ratios(
                        result, of: lane, to: NetLane(via: lane.via, path: .direct))
                }
            }
            let floor = Estimate(result.floors)
            floors.append(
                Floor(
                    frameBytes: result.plan.frameByteCount, burst: result.plan.burst,
                    memcpyNs: floor.median, low: floor.low, high: floor.high))
        }
    }

    /// The ratios of one lane to another, where both were measured.
    ///
    /// `pps` and `cpu_ns_per_frame` are quotients. `added_ns_per_frame` is how much longer a frame takes
    /// from one to the next, in nanoseconds, `added_cpu_ns_per_frame` how much more CPU time, and
    /// `added_cpu_per_floor` that in units of the floor of the same round.
    private static func ratios(
        _ result: NetMeasurement.CaseResult, of lane: NetLane, to base: NetLane
    ) -> [Ratio] {
        guard let samples = result.samples[lane], let bases = result.samples[base] else {
            return []
        }
        let pairs = Array(zip(samples, bases))
        func ratio(_ metric: String, _ values: [Double]) -> Ratio {
            let estimate = Estimate(values)
            return Ratio(
                workload: "net", via: lane.via.rawValue, metric: metric, of: lane.path.rawValue,
                to: base.path.rawValue, frameBytes: result.plan.frameByteCount,
                burst: result.plan.burst, median: estimate.median, low: estimate.low,
                high: estimate.high, ofRounds: values,
                detectable: estimate.detectable(roundCount: values.count))
        }
        let addedCPU = pairs.map { $0.cpuNanosecondsPerFrame - $1.cpuNanosecondsPerFrame }
        return [
            ratio("pps", pairs.map { $0.framesPerSecond / $1.framesPerSecond }),
            ratio(
                "cpu_ns_per_frame",
                pairs.map { $0.cpuNanosecondsPerFrame / $1.cpuNanosecondsPerFrame }),
            ratio(
                "added_ns_per_frame", pairs.map { $0.nanosecondsPerFrame - $1.nanosecondsPerFrame }),
            ratio("added_cpu_ns_per_frame", addedCPU),
            ratio("added_cpu_per_floor", zip(addedCPU, result.floors).map { $0 / $1 }),
        ]
    }
}
