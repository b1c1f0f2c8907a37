import CommandSupport
import SharedMemory

/// A comparison: measured, judged, and measured anew where something looks changed.
struct GateRun {
    private let session: GateSession
    private let buildCount: Int
    private let parts: [SuitePart]
    private let runCount: Int

    init(_ builds: [Build], parts: [SuitePart], runCount: Int) {
        session = GateSession(builds)
        buildCount = builds.count
        self.parts = parts
        self.runCount = runCount
    }

    /// Fills a report.
    ///
    /// - Parameter judge: says what measurements mean.
    /// - Returns: why it is not complete, if it is not.
    func compare(
        into report: inout GateReport, _ judge: (Measurements) -> Judgement
    ) throws -> CommandFailure? {
        var first = Measurements(buildCount: buildCount)
        var failure = try measure(parts, "first", into: &first)
        report.take(judge(first))
        let suspects = report.suspects
        if failure == nil, !suspects.isEmpty {
            // Independent data, of whole parts: a part runs the same whatever is looked for in it.
            let again = parts.filter { part in suspects.contains { part.measures($0) } }
            var second = Measurements(buildCount: buildCount)
            failure = try measure(again, "retest", into: &second)
            // Half a retest confirms nothing.
            if failure == nil { report.confirm(by: judge(second)) }
        }
        report.interrupted = failure?.status == .interrupted
        report.failure = report.interrupted ? nil : failure?.message
        report.conclude()
        return failure
    }

    /// Measures one session only.
    func measure() throws -> Measurements {
        var measurements = Measurements(buildCount: buildCount)
        if let failure = try measure(parts, "session", into: &measurements) { throw failure }
        return measurements
    }

    /// - Returns: what ended it early.
    private func measure(
        _ parts: [SuitePart], _ name: String, into measurements: inout Measurements
    ) throws -> CommandFailure? {
        do {
            try session.measure(parts, runCount: runCount, name, into: &measurements)
            return nil
        } catch let error as CommandFailure {
            return error
        } catch let error as SystemCallError {
            return CommandFailure(error)
        }
    }
}
