/// What some builds did in one session.
struct Measurements {
    /// What was measured, in the order in which it came.
    private(set) var metrics: [Metric] = []
    /// Of each build, the value of every run; of what is exact, one.
    private(set) var values: [[String: [Double]]]

    init(buildCount: Int) {
        values = Array(repeating: [:], count: buildCount)
    }

    mutating func append(_ value: Double, of metric: Metric, build: Int) {
        if !metrics.contains(where: { $0.name == metric.name }) { metrics.append(metric) }
        values[build][metric.name, default: []].append(value)
    }
}

/// What measurements, or results, come to.
struct Judgement {
    var findings: [Finding] = []
    /// What was not compared, and why.
    var notCompared: [String: String] = [:]
    /// Those of them that should have been: the comparison has a hole there.
    var missing: Set<String> = []

    mutating func miss(_ metric: String, _ reason: String) {
        notCompared[metric] = reason
        missing.insert(metric)
    }
}

extension Measurements {
    /// What pairs of runs of two builds say; of a pair that was cut short nothing.
    func pairJudgement() -> Judgement {
        var judgement = Judgement()
        for metric in metrics {
            guard let before = values[0][metric.name], let after = values[1][metric.name] else {
                let side = values[0][metric.name] == nil ? "second" : "first"
                judgement.miss(metric.name, "only the \(side) build has it")
                continue
            }
            let count = min(before.count, after.count)
            let (old, new) = (Array(before.prefix(count)), Array(after.prefix(count)))
            if metric.isExact {
                judgement.findings.append(
                    Finding(
                        metric, .exact(old[0], new[0], metric.rule), floor: metric.rule.noiseFloor,
                        "exact counts"))
            } else if SignedRankTest.leastProbability(pairCount: count) >= Evidence.level {
                judgement.miss(
                    metric.name, "\(count) pairs are too few for p < \(Evidence.level)")
            } else if let evidence = Evidence.pairs(old, new, metric.rule) {
                judgement.findings.append(
                    Finding(
                        metric, evidence, floor: metric.rule.noiseFloor,
                        "signed-rank test of \(count) pairs"))
            } else {
                judgement.miss(metric.name, "a value is not above zero")
            }
        }
        return judgement
    }

    /// Runs of a session, below which nothing is said of it: its interval is one from there on.
    private static let runCountMin = 6

    /// What one session says next to those of a baseline.
    ///
    /// - Parameter parts: what was to be measured.
    func sessionJudgement(
        of parts: [SuitePart], against baseline: Baseline, on machine: MachineFacts
    ) -> Judgement {
        var judgement = Judgement()
        for metric in metrics {
            if let reason = baseline.obstacle(to: metric, on: machine) {
                judgement.notCompared[metric.name] = reason
                continue
            }
            let now = values[0][metric.name] ?? []
            let sessions = baseline.values(of: metric.name)
            let floor = baseline.floor(of: metric, on: machine)
            if metric.isExact {
                guard let before = sessions.last, let after = now.first else { continue }
                judgement.findings.append(
                    Finding(
                        metric, .exact(before, after, metric.rule), floor: floor, "exact counts"))
            } else if now.count < Self.runCountMin {
                judgement.miss(metric.name, "\(now.count) runs are too few")
            } else if let evidence = Evidence.sessions(
                sessions, now: now, metric.rule, floor: floor)
            {
                judgement.findings.append(
                    Finding(
                        metric, evidence, floor: floor,
                        "prediction from \(sessions.count) sessions, \(now.count) runs now"))
            } else {
                judgement.miss(metric.name, "a value is not above zero")
            }
        }
        let measured = Set(metrics.map(\.name))
        for name in baseline.metricNames.subtracting(measured)
        where parts.contains(where: { $0.measures(name) }) {
            judgement.miss(name, "in the baseline, and not measured now")
        }
        return judgement
    }
}
