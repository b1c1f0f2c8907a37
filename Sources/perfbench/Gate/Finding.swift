/// What is said of one metric.
struct Finding: Codable {
    let metric: String
    /// After the retest, where there was one.
    var verdict: Verdict
    let evidence: Evidence
    /// The same from data measured anew, where the first made it look changed.
    var retest: Evidence?
    /// By what it was judged.
    let rule: String
    /// The largest change that is taken for noise.
    let noiseFloor: Double
    /// Whether changes are parts of what was, and not in the metric's unit.
    let isRelative: Bool

    init(_ metric: Metric, _ evidence: Evidence, floor: Double, _ method: String) {
        self.metric = metric.name
        self.evidence = evidence
        verdict = evidence.verdict(metric.rule, floor: floor)
        noiseFloor = floor
        isRelative = metric.rule.scale == .relative
        let isExact = evidence.probability == nil
        rule =
            "\(method)\(isExact ? "" : ", p < \(Evidence.level)"), and more than "
            + Self.text(floor, isRelative: metric.rule.scale == .relative)
    }

    /// Believes a change only where data measured anew say the same.
    mutating func confirm(by second: Finding) {
        guard verdict != .same else { return }
        retest = second.evidence
        if second.verdict != verdict { verdict = .same }
    }

    /// What is said of a change that nothing has confirmed: neither that it is one, nor that it is none.
    mutating func leaveOpen() {
        if verdict != .same, retest == nil { verdict = .suspect }
    }

    /// Whether only a change of more than twice the noise floor would have been seen.
    var isNoisy: Bool { evidence.detectable > 2 * noiseFloor }

    var isChange: Bool { verdict == .regression || verdict == .improvement }

    /// What a table says of it.
    var verdictText: String {
        switch verdict {
        case .same: retest == nil ? "" : "not confirmed"
        case .suspect: "suspect, not measured again"
        case .regression, .improvement: verdict.rawValue
        }
    }

    func text(_ change: Double) -> String { Self.text(change, isRelative: isRelative) }

    private static func text(_ change: Double, isRelative: Bool) -> String {
        isRelative ? (change * 100).fixed(1) + " %" : change.fixed(2)
    }

    /// The finding in a sentence.
    var sentence: String {
        let name = verdict == .regression ? "worse" : "better"
        let again = retest.map { "; again \(text($0.change))" } ?? ""
        return
            "\(metric): \(name), \(evidence.before.significant) to \(evidence.after.significant), "
            + "\(text(evidence.change)) [\(text(evidence.low)), \(text(evidence.high))]\(again); by: \(rule)"
    }
}

extension Double {
    /// The number with three digits or so.
    var significant: String { fixed(magnitude < 10 ? 3 : magnitude < 100 ? 2 : 1) }
}
