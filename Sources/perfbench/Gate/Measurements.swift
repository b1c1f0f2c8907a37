/// What some builds did in one session.
struct Measurements {
    /// What was measured, in the order in which it came.
    private(set) var metrics: [Metric] = []
    /// Of each build, the value of every run; of what is exact, one.
    private(set) var values: [[String: [Double]]]
    /// What cannot be measured here, and why.
    var skipped: [SuitePart: String] = [:]

    init(buildCount: Int) {
        values = Array(repeating: [:], count: buildCount)
    }

    mutating func append(_ value: Double, of metric: Metric, build: Int) {
        if !metrics.contains(where: { $0.name == metric.name }) { metrics.append(metric) }
        values[build][metric.name, default: []].append(value)
    }

    /// What pairs of runs of two builds say; of a pair that was cut short nothing.
    func pairFindings() -> [Finding] {
        metrics.compactMap { metric in
            guard let before = values[0][metric.name], let after = values[1][metric.name] else {
                return nil
            }
            let count = min(before.count, after.count)
            let (old, new) = (Array(before.prefix(count)), Array(after.prefix(count)))
            if metric.isExact {
                guard count > 0 else { return nil }
                return Finding(
                    metric, .exact(old[0], new[0], metric.rule), floor: metric.rule.noiseFloor,
                    "exact counts")
            }
            guard let evidence = Evidence.pairs(old, new, metric.rule) else { return nil }
            return Finding(
                metric, evidence, floor: metric.rule.noiseFloor,
                "signed-rank test of \(count) pairs")
        }
    }

    /// What one session says next to those of a baseline.
    ///
    /// - Parameter notCompared: is told what is not, and why.
    func sessionFindings(
        against baseline: Baseline, on machine: MachineFacts, notCompared: inout [String: String]
    ) -> [Finding] {
        metrics.compactMap { metric in
            if let reason = baseline.obstacle(to: metric, on: machine) {
                notCompared[metric.name] = reason
                return nil
            }
            let now = values[0][metric.name] ?? []
            let sessions = baseline.values(of: metric.name)
            if metric.isExact {
                guard let before = sessions.last, let after = now.first else { return nil }
                return Finding(
                    metric, .exact(before, after, metric.rule), floor: metric.rule.sessionFloor,
                    "exact counts")
            }
            guard let evidence = Evidence.sessions(sessions, now: now, metric.rule) else {
                return nil
            }
            return Finding(
                metric, evidence, floor: metric.rule.sessionFloor,
                "prediction from \(sessions.count) sessions, \(now.count) runs now")
        }
    }
}
