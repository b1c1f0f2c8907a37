import BlockBackend
import SharedMemory

/// Runs the cases of a plan, round by round, and keeps what each lane did.
struct BlockMeasurement {
    let lanes: [BlockLane]
    let roundCount: Int
    let roundSeconds: Double

    /// Of the requests made last.
    private var seed: UInt64 = 0

    init(lanes: [BlockLane], roundCount: Int, roundSeconds: Double) {
        self.lanes = lanes
        self.roundCount = roundCount
        self.roundSeconds = roundSeconds
    }

    /// The results of one case.
    struct CaseResult {
        let plan: BlockCase
        /// One sample a round of each lane.
        var samples: [BlockLane: [RoundSample]] = [:]
        var latencies: [BlockLane: LatencyHistogram] = [:]
        /// How full the pool was in a pass of its own, of each lane that bounces.
        var occupancies: [BlockLane: Occupancy] = [:]
        /// CPU nanoseconds of one block's `memcpy`, of each round.
        var floors: [Double] = []

        var warmUpRoundCount = 0

        /// Rounds in which every path was measured.
        var roundCount: Int { floors.count }
    }

    /// How long the floor is measured in a round, as a part of a path's time.
    private static let floorShare = 0.2

    /// Measures one case, and keeps every whole round in `result`, also where it throws.
    ///
    /// Each round runs every path once, in ``Array/order(ofRound:)``. A ``WarmUp`` is discarded. Lanes that
    /// bounce run once more after the rounds, while the pool is watched. Stops early where the user asks.
    mutating func measure(
        on stand: BlockStand, progress: inout ProgressLine, result: inout CaseResult
    ) throws {
        let plan = result.plan
        var buffers = GuestBuffers(
            guestMemoryByteCount: stand.memories.guest.byteCount,
            bufferByteCount: plan.blockByteCount)
        for lane in lanes { stand.loops[lane]?.reset() }
        var warmUp = WarmUp<BlockLane>(countedRoundCount: roundCount)
        while result.roundCount < roundCount {
            let round = warmUp.roundCount + result.roundCount
            var samples: [BlockLane: RoundSample] = [:]
            for lane in lanes.order(ofRound: round) {
                progress.advance(
                    "\(plan.description), \(result.roundCount) of \(roundCount) rounds, \(lane.description)"
                )
                seed += 1
                var source = RequestSource(
                    plan, storageByteCount: stand.storageByteCount, seed: seed)
                // A backend serves one frontend at a time.
                defer { stand.loops[lane]?.disconnect() }
                let sample = try stand.loops[lane]?.run(plan, &buffers, &source, roundSeconds)
                if Interruption.isRequested { return }
                if let sample { try sample.check(lane) }
                samples[lane] = sample
            }
            let floor = stand.memories.floor.measure(
                plan.pattern.copyDirection, buffers: &buffers, slotsInUse: plan.depth,
                seconds: roundSeconds * Self.floorShare)
            if Interruption.isRequested { return }
            if warmUp.takes(samples.mapValues { 1 / max($0.iops, 1e-9) }) {
                result.warmUpRoundCount = warmUp.roundCount
                for lane in lanes { stand.loops[lane]?.reset() }
                continue
            }
            for (lane, sample) in samples { result.samples[lane, default: []].append(sample) }
            for lane in lanes { result.latencies[lane] = stand.loops[lane]?.latencies }
            result.floors.append(floor)
        }
        for lane in lanes where lane.path.bounces {
            progress.advance("\(plan.description), occupancy, \(lane.description)")
            seed += 1
            var source = RequestSource(plan, storageByteCount: stand.storageByteCount, seed: seed)
            defer { stand.loops[lane]?.disconnect() }
            result.occupancies[lane] = try stand.occupancy(seconds: roundSeconds) {
                _ = try stand.loops[lane]?.run(plan, &buffers, &source, roundSeconds)
            }
            if Interruption.isRequested { return }
        }
    }

    /// How many steps ``measure(on:progress:result:)`` reports for a case, and how long each takes.
    var stepCountPerCase: Int {
        lanes.count * (roundCount + 1) + lanes.count { $0.path.bounces }
    }
    var secondsPerStep: Double {
        roundSeconds * (1 + Self.floorShare / Double(max(lanes.count, 1))) + 0.01
    }
}
