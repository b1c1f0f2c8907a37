import Glibc

/// What is known of a change of one metric.
struct Evidence: Codable {
    var before: Double
    var after: Double
    /// After less before, in the unit of the metric's ``MetricRule/Scale-swift.enum``; positive where the
    /// value has risen.
    var change: Double
    /// What the true change is within, with 95 % confidence, or, between sessions, 99 %.
    var low: Double
    var high: Double
    /// How likely so much is where nothing has changed; absent for what is exact.
    var probability: Double?
    /// How large a change would have to be to be reported as surely as four times in five.
    var detectable: Double

    /// The significance level of every rule (that of Firecracker's A/B tests).
    static let level = 0.01

    /// A change is found where it is larger than by noise and more than chance.
    func verdict(_ rule: MetricRule, floor: Double) -> Verdict {
        guard change.magnitude > floor, (probability ?? 0) < Self.level else { return .same }
        return (change > 0) == (rule.direction == .lowerIsBetter) ? .regression : .improvement
    }
}

/// What has become of a metric, or of all of them.
enum Verdict: String, Codable {
    case same
    /// Looks changed, and was not measured again.
    case suspect
    case regression
    case improvement
}

// The ways to get evidence. Relative changes are differences of logarithms until they are printed.
extension Evidence {
    /// From two builds that ran in turn, of each pair one value: the signed-rank test of the pairs'
    /// differences, their median and its rank interval.
    ///
    /// - Returns: `nil` where a value does not fit the scale.
    static func pairs(_ before: [Double], _ after: [Double], _ rule: MetricRule) -> Evidence? {
        guard let old = rule.scaled(before), let new = rule.scaled(after), !old.isEmpty,
            old.count == new.count
        else { return nil }
        let differences = zip(new, old).map { $0 - $1 }
        return Evidence(
            rule, floor: rule.noiseFloor, before: Estimate(old), after: Estimate(new),
            difference: Estimate(differences),
            probability: SignedRankTest.probability(differences), isTestedTwice: true)
    }

    /// From two runs apart from each other, of each the rounds: the rank-sum test. What changes from one
    /// session to the next is not in it.
    static func sets(_ before: [Double], _ after: [Double], _ rule: MetricRule) -> Evidence? {
        guard let old = rule.scaled(before), let new = rule.scaled(after), !old.isEmpty,
            !new.isEmpty
        else { return nil }
        let (first, second) = (Estimate(old), Estimate(new))
        // Of independent medians the half widths add as the sides of a right angle do.
        let difference = Estimate(
            median: second.median - first.median,
            low: second.median - first.median
                - hypot(second.median - second.low, first.high - first.median),
            high: second.median - first.median
                + hypot(second.high - second.median, first.median - first.low))
        return Evidence(
            rule, floor: rule.sessionFloor, before: first, after: second, difference: difference,
            probability: RankSumTest.probability(old, new), isTestedTwice: false)
    }

    /// From the medians of earlier sessions, and the values of one session now: whether its median is one
    /// that the next session would have (a prediction interval, by Student's t of as many degrees of freedom
    /// as there are sessions less one), its own uncertainty added.
    ///
    /// - Parameters:
    ///   - sessions: at least two.
    ///   - floor: the largest change that is taken for noise.
    static func sessions(
        _ sessions: [Double], now: [Double], _ rule: MetricRule, floor: Double
    ) -> Evidence? {
        guard let old = rule.scaled(sessions), let new = rule.scaled(now), old.count >= 2,
            !new.isEmpty
        else { return nil }
        let count = Double(old.count)
        let mean = old.reduce(0, +) / count
        let variance = old.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
        let current = Estimate(new)
        let own = (current.high - current.low) / (2 * Estimate.normalQuantile95)
        let deviation = (variance * (1 + 1 / count) + own * own).squareRoot()
        let degrees = old.count - 1
        let width =
            StudentT.quantile(twoSided: level, degreesOfFreedom: degrees) * deviation
        let change = current.median - mean
        return Evidence(
            rule, before: Estimate(median: mean, low: mean, high: mean), after: current,
            difference: Estimate(median: change, low: change - width, high: change + width),
            probability: deviation > 0
                ? StudentT.twoSidedProbability(change / deviation, degreesOfFreedom: degrees)
                : change == 0 ? 1 : 0,
            detectable: max(rule.scaled(floor), width)
                + StudentT.quantile(
                    twoSided: 2 * (1 - Self.powerOfEach), degreesOfFreedom: degrees) * deviation)
    }

    /// From two exact numbers.
    static func exact(_ before: Double, _ after: Double, _ rule: MetricRule) -> Evidence {
        let change = after / before - 1
        return Evidence(
            before: before, after: after, change: change, low: change, high: change,
            probability: nil, detectable: rule.noiseFloor)
    }

    /// How sure each of two tests must be for both to be so four times in five.
    private static let powerOfEach = 0.8.squareRoot()

    private init(
        _ rule: MetricRule, floor: Double, before: Estimate, after: Estimate,
        difference: Estimate, probability: Double, isTestedTwice: Bool
    ) {
        // Of the median; quantiles of the normal distribution: 99.5 % for the test, 89.4 % or 80 % for the
        // power of it (H. S. Bloom, "Minimum Detectable Effects", 1995).
        let deviation = (difference.high - difference.low) / 2 / Estimate.normalQuantile95
        self.init(
            rule, before: before, after: after, difference: difference, probability: probability,
            detectable: max(rule.scaled(floor), 2.576 * deviation)
                + (isTestedTwice ? 1.250 : 0.842) * deviation)
    }

    private init(
        _ rule: MetricRule, before: Estimate, after: Estimate, difference: Estimate,
        probability: Double, detectable: Double
    ) {
        self.before = rule.value(before.median)
        self.after = rule.value(after.median)
        change = rule.unscaled(difference.median)
        low = rule.unscaled(difference.low)
        high = rule.unscaled(difference.high)
        self.probability = probability
        self.detectable = rule.unscaled(detectable)
    }
}

extension MetricRule {
    /// Values such that a change is a difference; `nil` where one has no logarithm.
    fileprivate func scaled(_ values: [Double]) -> [Double]? {
        guard scale == .relative else { return values }
        return values.allSatisfy { $0 > 0 } ? values.map { log($0) } : nil
    }

    /// A change as a difference.
    fileprivate func scaled(_ change: Double) -> Double {
        scale == .relative ? log(1 + change) : change
    }

    fileprivate func value(_ scaled: Double) -> Double {
        scale == .relative ? exp(scaled) : scaled
    }

    fileprivate func unscaled(_ difference: Double) -> Double {
        scale == .relative ? exp(difference) - 1 : difference
    }
}
