import SharedMemory
import Virtqueue

/// Runs the cases of a plan, round by round, and keeps what each lane did.
struct NetMeasurement {
    let lanes: [NetLane]
    let roundCount: Int
    let roundSeconds: Double

    /// The results of one case.
    struct CaseResult {
        let plan: NetCase
        /// One sample a round of each lane.
        var samples: [NetLane: [NetSample]] = [:]
        var latencies: [NetLane: LatencyHistogram] = [:]
        /// CPU nanoseconds of one frame's `memcpy`, of each round.
        var floors: [Double] = []

        var warmUpRoundCount = 0

        /// Rounds in which every lane was measured.
        var roundCount: Int { floors.count }
    }

    /// How long latency and the floor are measured in a round, as parts of a lane's time.
    private static let latencyShare = 0.2
    private static let floorShare = 0.2

    /// Measures one case, and keeps every whole round in `result`, also where it throws.
    ///
    /// Each round runs every lane once, in ``Array/order(ofRound:)``. A ``WarmUp`` is discarded. Stops early
    /// where the user asks.
    func measure(
        on stand: NetStand, progress: inout ProgressLine, result: inout CaseResult
    ) throws {
        let plan = result.plan
        var warmUp = WarmUp<NetLane>(countedRoundCount: roundCount)
        while result.roundCount < roundCount {
            let round = warmUp.roundCount + result.roundCount
            var samples: [NetLane: NetSample] = [:]
            var roundLatencies: [NetLane: LatencyHistogram] = [:]
            for lane in lanes.order(ofRound: round) {
                progress.advance(
                    "\(plan.description), \(result.roundCount) of \(roundCount) rounds, \(lane.description)"
                )
                var latencies = result.latencies[lane] ?? .forCompletions()
                let sample = try stand.perform(
                    .measure(
                        seconds: roundSeconds, latencySeconds: roundSeconds * Self.latencyShare),
                    plan, on: lane, latencies: &latencies)
                if Interruption.isRequested { return }
                try sample.check(lane)
                samples[lane] = sample
                roundLatencies[lane] = latencies
            }
            var buffers = stand.frames(plan).transmit
            var floor = 0.0
            for copy in plan.copies {
                floor +=
                    copy.count
                    * stand.memories.floor.measure(
                        copy.direction, buffers: &buffers, slotsInUse: plan.burst,
                        seconds: roundSeconds * Self.floorShare)
            }
            if Interruption.isRequested { return }
            if warmUp.takes(samples.mapValues(\.nanosecondsPerFrame)) {
                result.warmUpRoundCount = warmUp.roundCount
                continue
            }
            result.latencies = roundLatencies
            for (lane, sample) in samples { result.samples[lane, default: []].append(sample) }
            result.floors.append(floor)
        }
    }

    /// How many steps ``measure(on:progress:result:)`` reports for a case, and how long each takes.
    var stepCountPerCase: Int { lanes.count * (roundCount + 1) }
    var secondsPerStep: Double {
        roundSeconds * (1 + Self.latencyShare + Self.floorShare / Double(max(lanes.count, 1)))
            + 0.02
    }
}
