import CommandSupport
import SystemPackage

/// Runs the suite on builds, in turn.
final class GateSession {
    private let builds: [Build]
    /// What block requests are served from, once there are any.
    private var file: ScratchFile?
    private var progress = ProgressLine(stepCount: 1, secondsPerStep: 0)

    init(_ builds: [Build]) {
        self.builds = builds
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
        let isCounted = parts.contains(.instructions)
        let stepCount = builds.count * (runCount * runs.count + (isCounted ? 1 : 0))
        let seconds =
            Double(builds.count)
            * (Double(runCount) * runs.reduce(0) { $0 + $1.secondsPerRun }
                + (isCounted ? SuitePart.instructions.secondsPerRun : 0))
        progress = ProgressLine(
            stepCount: stepCount, secondsPerStep: seconds / Double(max(stepCount, 1)))
        defer { progress.clear() }
        // First, so that a machine without valgrind is told at once.
        for index in builds.indices where isCounted {
            progress.advance("\(name), counting instructions")
            try naming(.instructions) { () throws(CommandFailure) in
                let counts = try builds[index].instructions(of: Probe.allCases)
                for probe in Probe.allCases {
                    guard let count = counts[probe] else { continue }
                    measurements.append(count, of: Metric(probe), build: index)
                }
            }
        }
        for round in 0..<runCount {
            for index in Array(builds.indices).order(ofRound: round) {
                for part in runs {
                    progress.advance("\(name), run \(round + 1) of \(runCount), \(part.rawValue)")
                    try naming(part) { () throws(CommandFailure) in
                        try run(part, build: index, into: &measurements)
                    }
                }
            }
        }
    }

    private func run(
        _ part: SuitePart, build: Int, into measurements: inout Measurements
    ) throws(CommandFailure) {
        let path = part == .block ? try storage().path.seenByOthers.string : ""
        guard let arguments = part.arguments(file: path) else { return }
        for ratio in try builds[build].measure(arguments).ratios {
            guard let metric = Metric(ratio), metric.rule.isGated else { continue }
            measurements.append(ratio.median, of: metric, build: build)
        }
    }

    private func storage() throws(CommandFailure) -> ScratchFile {
        if let file { return file }
        do throws(CommandFailure) {
            let made = try ScratchFile(byteCount: 64 << 20)
            file = made
            return made
        } catch {
            throw CommandFailure(.unavailable, error.message)
        }
    }

    /// Says how to go on without a part that this machine, or one of the builds, does not have.
    private func naming(
        _ part: SuitePart, _ body: () throws(CommandFailure) -> Void
    ) throws(CommandFailure) {
        do throws(CommandFailure) {
            try body()
        } catch {
            guard [.unavailable, .noPermission, .usage].contains(error.status) else { throw error }
            let others = SuitePart.allCases.filter { $0 != part }.map(\.rawValue)
            throw CommandFailure(
                .unavailable,
                "\(error.message); or leave that part out: --parts "
                    + others.joined(separator: ","))
        }
    }
}
