import CommandSupport
import SystemPackage

/// Runs the suite on builds, in turn.
final class GateSession {
    private let builds: [Build]
    /// What block requests are served from.
    private let file: ScratchFile?
    private var progress = ProgressLine(stepCount: 1, secondsPerStep: 0)

    /// - Parameter parts: what may be run later.
    init(_ builds: [Build], parts: [SuitePart]) throws {
        self.builds = builds
        file =
            parts.contains(.block)
            ? try ScratchFile(
                directory: builds[0].executable.removingLastComponent(), byteCount: 64 << 20) : nil
    }

    /// Measures some parts, and keeps every run that ended, also where it throws.
    ///
    /// - Parameters:
    ///   - runCount: how often each build is run, in alternating order.
    ///   - name: of the session, for who waits.
    func measure(
        _ parts: [SuitePart], runCount: Int, _ name: String, into measurements: inout Measurements
    ) throws {
        let runs = parts.filter { $0 != .instructions }
        let counted = parts.contains(.instructions) ? Probe.allCases : []
        let stepCount = builds.count * (runCount * runs.count + counted.count)
        let seconds =
            Double(builds.count)
            * (Double(runCount) * runs.reduce(0) { $0 + $1.secondsPerRun }
                + (counted.isEmpty ? 0 : SuitePart.instructions.secondsPerRun))
        progress = ProgressLine(
            stepCount: stepCount, secondsPerStep: seconds / Double(max(stepCount, 1)))
        defer { progress.clear() }
        for round in 0..<runCount {
            for index in Array(builds.indices).order(ofRound: round) {
                for part in runs where measurements.skipped[part] == nil {
                    progress.advance("\(name), run \(round + 1) of \(runCount), \(part.rawValue)")
                    try skipping(part, &measurements) { measurements throws(CommandFailure) in
                        try run(part, build: index, into: &measurements)
                    }
                }
            }
        }
        for probe in counted {
            for index in builds.indices where measurements.skipped[.instructions] == nil {
                progress.advance("\(name), instructions of \(probe.rawValue)")
                try skipping(.instructions, &measurements) { measurements throws(CommandFailure) in
                    let count = try builds[index].instructions(of: probe)
                    measurements.append(count, of: Metric(probe), build: index)
                }
            }
        }
    }

    private func run(
        _ part: SuitePart, build: Int, into measurements: inout Measurements
    ) throws(CommandFailure) {
        guard let arguments = part.arguments(file: file?.path.seenByOthers.string ?? "") else {
            return
        }
        for ratio in try builds[build].measure(arguments).ratios {
            guard let metric = Metric(ratio), metric.rule.isGated else { continue }
            measurements.append(ratio.median, of: metric, build: build)
        }
    }

    /// Goes on without a part that this machine, or one of the builds, does not have.
    private func skipping(
        _ part: SuitePart, _ measurements: inout Measurements,
        _ body: (inout Measurements) throws(CommandFailure) -> Void
    ) throws(CommandFailure) {
        do throws(CommandFailure) {
            try body(&measurements)
        } catch {
            guard [.unavailable, .noPermission, .usage].contains(error.status) else { throw error }
            measurements.skipped[part] = error.message
        }
    }
}
