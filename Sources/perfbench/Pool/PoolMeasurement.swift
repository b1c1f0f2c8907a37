import CommandSupport
import SharedMemory

/// Runs the cases of a plan, round by round, every path with every number of threads in turn.
struct PoolMeasurement {
    let memories: Memories
    let variants: [PoolVariant]
    let liveCountMax: Int
    let roundCount: Int
    let roundSeconds: Double
    /// Steps of a churn before it is measured.
    let wearStepCount: Int
    /// What reading the clock twice costs, and measures of itself.
    private let clockNanoseconds: UInt64

    init(
        memories: Memories, variants: [PoolVariant], liveCountMax: Int, roundCount: Int,
        roundSeconds: Double, wearStepCount: Int
    ) {
        self.memories = memories
        self.variants = variants
        self.liveCountMax = liveCountMax
        self.roundCount = roundCount
        self.roundSeconds = roundSeconds
        self.wearStepCount = wearStepCount
        clockNanoseconds = Self.clockCost()
    }

    /// The results of one case.
    struct CaseResult {
        let plan: PoolCase
        /// Mappings live at any time on each thread.
        var liveCount = 0
        /// What the variants were, in the order of the plan.
        var variants: [PoolVariant] = []
        /// One sample of each whole round.
        var samples: [PoolVariant: [PoolSample]] = [:]
        /// Of a churn: what the wear before the first round was asked for and refused.
        var wear: [PoolVariant: ChurnTally] = [:]
        var latencies: [PoolVariant: LatencyHistogram] = [:]
        var clockNanoseconds: UInt64 = 0
        var warmUpRoundCount = 0
        var roundCount = 0
    }

    /// Measures one case, and keeps every whole round in `result`, also where it throws.
    ///
    /// Each round runs every variant once, in ``Array/order(ofRound:)``. A ``WarmUp`` is discarded. Stops
    /// early where the user asks.
    func measure(
        progress: inout ProgressLine, result: inout CaseResult
    ) throws(CommandFailure) {
        let plan = result.plan
        let stands = PoolStands(
            memories: memories, plan: plan, liveCountMax: liveCountMax,
            threadCountMax: variants.map(\.threadCount).max() ?? 1)
        result.liveCount = stands.liveCountMax
        result.variants = variants.filter { $0.path.serves(plan.operation) }
        result.clockNanoseconds = clockNanoseconds
        var measured: [(variant: PoolVariant, stand: any PoolStand)] = []
        defer { for (_, stand) in measured { stand.drain() } }
        for variant in result.variants {
            let stand = try stands.make(variant)
            measured.append((variant, stand))
            progress.show("\(plan.description), \(variant.description), filling")
            if plan.operation == .churn {
                result.wear[variant] = try stand.wear(wearStepCount)
            } else if variant.path.allocates {
                stand.fill(slotCount: stands.occupiedSlotCount, seed: 1)
                result.liveCount = min(
                    result.liveCount, stand.room(liveCountMax: stands.liveCountMax))
            }
            if Interruption.isRequested { return }
        }
        if plan.operation != .churn {
            // One at least: then the refusals are the result.
            result.liveCount = max(result.liveCount, 1)
            for (_, stand) in measured { stand.use(liveCount: result.liveCount) }
        }
        var warmUp = WarmUp<PoolVariant>(countedRoundCount: roundCount)
        while result.roundCount < roundCount {
            let round = warmUp.roundCount + result.roundCount
            var samples: [PoolVariant: PoolSample] = [:]
            for (variant, stand) in measured.order(ofRound: round) {
                progress.advance(
                    "\(plan.description), \(result.roundCount) of \(roundCount) rounds, \(variant.description)"
                )
                samples[variant] = try measure(plan, on: stand)
                if Interruption.isRequested { return }
            }
            if warmUp.takes(samples.mapValues(\.cpuNanosecondsPerOperation)) {
                result.warmUpRoundCount = warmUp.roundCount
                for (_, stand) in measured { stand.resetLatencies() }
                continue
            }
            for (variant, sample) in samples { result.samples[variant, default: []].append(sample) }
            for (variant, stand) in measured where plan.operation == .churn {
                result.latencies[variant] = stand.latencies
            }
            result.roundCount += 1
        }
    }

    private func measure(
        _ plan: PoolCase, on stand: any PoolStand
    ) throws(CommandFailure) -> PoolSample {
        if plan.operation == .churn {
            return try stand.measureChurn(
                seconds: roundSeconds, clockNanoseconds: clockNanoseconds)
        }
        return try stand.measureSteady(
            plan.operation, byteCount: plan.byteCount, seconds: roundSeconds)
    }

    /// How many steps ``measure(progress:result:)`` reports for a case.
    func stepCount(of plan: PoolCase) -> Int {
        variants.count { $0.path.serves(plan.operation) } * (roundCount + 1)
    }

    private static func clockCost() -> UInt64 {
        let costs = (0..<1001).map { _ in
            let begin = monotonicNanoseconds()
            return monotonicNanoseconds() - begin
        }
        return costs.sorted()[costs.count / 2]
    }
}
