/// A path of a case, of any workload: what formats and figures have to know of it.
protocol ReportedRun: Codable {
    /// What is measured, as the command is called.
    static var workloadName: String { get }

    /// What distinguishes the run from others of its report, by the names of the JSON.
    var labels: KeyValuePairs<String, String> { get }
    /// What was measured, by the names of the JSON.
    var measures: [Measure] { get }
    /// How many rounds that is of.
    var rounds: Int { get }

    /// Whether its numbers are such as figures and formats can be made of; those of a file that was damaged
    /// or edited may not be.
    var isSound: Bool { get }

    /// Whether a ratio has this run on its left side.
    func isNumerator(of ratio: Ratio) -> Bool
    /// Whether a floor is that of this run's copies.
    func copies(_ floor: Floor) -> Bool

    /// The report for a person.
    static func text(of report: Report<Self>) -> ReportText
    /// The figures that there is data for.
    static func figures(of report: Report<Self>) -> [Figure]
}

/// One quantity of a run.
struct Measure {
    let name: String
    let value: Double
    /// The interval that covers the true value, where there is one.
    var low: Double?
    var high: Double?

    init(_ name: String, _ value: Double) {
        self.name = name
        self.value = value
    }

    init(_ name: String, _ estimate: Estimate) {
        self.name = name
        value = estimate.median
        low = estimate.low
        high = estimate.high
    }

    init(_ name: String, median: Double, low: Double, high: Double) {
        self.name = name
        value = median
        self.low = low
        self.high = high
    }

    /// The percentiles that are commonly looked at.
    static func percentiles(_ name: String, _ latency: BlockRun.Latency) -> [Measure] {
        [("p50", 50), ("p99", 99), ("p99_9", 99.9)].compactMap { suffix, percentile in
            latency.percentile[BlockRun.Latency.key(percentile)].map {
                Measure("\(name)_\(suffix)", Double($0))
            }
        }
    }
}

extension Report where Run: ReportedRun {
    /// What was measured of a run, its ratios and its floor among it.
    func measures(of run: Run) -> [Measure] {
        run.measures
            + ratios.filter { run.isNumerator(of: $0) }.map { ratio in
                let via = ratio.toVia.map { "_via_\($0)" } ?? ""
                return Measure(
                    "\(ratio.metric)_to_\(ratio.to)\(via)", median: ratio.median, low: ratio.low,
                    high: ratio.high)
            }
            + floors.filter { run.copies($0) }.map {
                Measure("memcpy_ns", median: $0.memcpyNs, low: $0.low, high: $0.high)
            }
    }

    /// What the intervals of figures are, for a person.
    var intervalCaption: String {
        let count = runs.map(\.rounds).min() ?? 0
        return count < 6
            ? "Medians over \(count) rounds, and their range, for want of rounds."
            : "Medians over \(count) rounds; intervals cover the true ones with 95 % confidence."
    }

    /// Whether figures and formats can be made of it (``ReportedRun/isSound``).
    var isSound: Bool {
        (host.storage?.bytes ?? 0) <= Int.max && runs.allSatisfy(\.isSound)
            && ratios.allSatisfy(\.isSound)
    }

    /// Whether everything that was planned was measured.
    var isComplete: Bool { !interrupted && failure == nil }

    /// That it was not, and why.
    var warnings: [String] {
        (interrupted ? ["Interrupted: only whole rounds are shown."] : [])
            + (failure.map { ["Ended early, \($0): only whole rounds are shown."] } ?? [])
    }
}
