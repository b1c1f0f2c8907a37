import BlockBackend
import SharedMemory

/// Runs the cases of a plan, round by round, and keeps what each path did.
struct BlockMeasurement {
    let paths: [BlockPath]
    let roundCount: Int
    let roundSeconds: Double

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

    /// Measures one case.
    ///
    /// Each round runs every path once, forwards in one round and backwards in the next (A B B A),
    /// so a machine that slowly gets faster or slower favours none. The first round is discarded.
    /// Stops early where the user asks; only whole rounds are kept.
    func measure(
        _ plan: BlockCase, on stand: BlockStand, progress: inout ProgressLine
    ) throws -> CaseResult {
        var result = CaseResult(plan: plan)
        var buffers = GuestBuffers(
            guestMemoryByteCount: stand.memories.guest.byteCount,
            bufferByteCount: plan.blockByteCount)
        for path in paths { stand.loops[path]?.reset() }
        for round in 0...roundCount {
            var samples: [BlockPath: RoundSample] = [:]
            for path in round % 2 == 0 ? paths : paths.reversed() {
                progress.advance("\(plan.description), round \(round) of \(roundCount), \(path)")
                var source = RequestSource(
                    plan, storageByteCount: stand.storage.byteCount, seed: UInt64(round))
                samples[path] = try stand.loops[path]?.run(
                    plan, buffers: &buffers, source: &source, seconds: roundSeconds,
                    measures: round > 0)
                if Interruption.isRequested { return result }
            }
            let floor = stand.memories.floor.measure(
                plan.pattern.copyDirection, buffers: &buffers, slotsInUse: plan.depth,
                seconds: roundSeconds * Self.floorShare)
            guard round > 0 else { continue }
            for (path, sample) in samples { result.samples[path, default: []].append(sample) }
            for path in paths { result.latencies[path] = stand.loops[path]?.latencies }
            result.floors.append(floor)
        }
        return result
    }

    /// How many steps ``measure(_:on:progress:)`` reports for a case, and how long each takes.
    var stepCountPerCase: Int { paths.count * (roundCount + 1) }
    var secondsPerStep: Double {
        roundSeconds * (1 + Self.floorShare / Double(max(paths.count, 1))) + 0.01
    }
}
