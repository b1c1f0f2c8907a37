import BlockBackend
import SharedMemory

/// Runs the cases of a plan, round by round, and keeps what each path did.
struct BlockMeasurement {
    let paths: [BlockPath]
    let roundCount: Int
    let roundSeconds: Double

    /// Of the requests made last.
    private var seed: UInt64 = 0

    init(paths: [BlockPath], roundCount: Int, roundSeconds: Double) {
        self.paths = paths
        self.roundCount = roundCount
        self.roundSeconds = roundSeconds
    }

    /// The results of one case.
    struct CaseResult {
        let plan: BlockCase
        /// One sample a round of each path.
        var samples: [BlockPath: [RoundSample]] = [:]
        var latencies: [BlockPath: LatencyHistogram] = [:]
        /// CPU nanoseconds of one block's `memcpy`, of each round.
        var floors: [Double] = []

        /// Rounds in which every path was measured.
        var roundCount: Int { floors.count }
    }

    /// How long the floor is measured in a round, as a part of a path's time.
    private static let floorShare = 0.2

    /// Measures one case, and keeps every whole round in `result`, also where it throws.
    ///
    /// Each round runs every path once. The order is rotated by one from round to round and reversed
    /// from one full rotation to the next, so each path is as often first as any other, and a machine
    /// that slowly gets faster or slower favours none. The first round is discarded. Stops early where
    /// the user asks.
    mutating func measure(
        on stand: BlockStand, progress: inout ProgressLine, result: inout CaseResult
    ) throws {
        let plan = result.plan
        var buffers = GuestBuffers(
            guestMemoryByteCount: stand.memories.guest.byteCount,
            bufferByteCount: plan.blockByteCount)
        for path in paths { stand.loops[path]?.reset() }
        for round in 0...roundCount {
            var samples: [BlockPath: RoundSample] = [:]
            for path in order(ofRound: round) {
                progress.advance(
                    "\(plan.description), round \(round) of \(roundCount), \(path.rawValue)")
                seed += 1
                var source = RequestSource(
                    plan, storageByteCount: stand.storage.byteCount, seed: seed)
                samples[path] = try stand.loops[path]?.run(
                    plan, buffers: &buffers, source: &source, seconds: roundSeconds,
                    measures: round > 0)
                if Interruption.isRequested { return }
            }
            let floor = stand.memories.floor.measure(
                plan.pattern.copyDirection, buffers: &buffers, slotsInUse: plan.depth,
                seconds: roundSeconds * Self.floorShare)
            guard round > 0, !Interruption.isRequested else { continue }
            for (path, sample) in samples { result.samples[path, default: []].append(sample) }
            for path in paths { result.latencies[path] = stand.loops[path]?.latencies }
            result.floors.append(floor)
        }
    }

    private func order(ofRound round: Int) -> [BlockPath] {
        let shift = round % paths.count
        let rotated = Array(paths[shift...] + paths[..<shift])
        return round / paths.count % 2 == 0 ? rotated : rotated.reversed()
    }

    /// How many steps ``measure(on:progress:result:)`` reports for a case, and how long each takes.
    var stepCountPerCase: Int { paths.count * (roundCount + 1) }
    var secondsPerStep: Double {
        roundSeconds * (1 + Self.floorShare / Double(max(paths.count, 1))) + 0.01
    }
}
