/// How a metric is judged.
struct MetricRule {
    enum Direction {
        case lowerIsBetter
        case higherIsBetter
    }

    /// What a change is expressed in.
    enum Scale {
        /// As a part of what was: 0.05 is 5 %.
        case relative
        /// In the metric's own unit, for what may be zero.
        case absolute
    }

    let direction: Direction
    var scale = Scale.relative
    /// No change up to this is reported, however sure it is: in one session, where both builds run in turn
    /// and share the machine's state; and between sessions, which do not.
    let noiseFloor: Double
    let sessionFloor: Double
    /// The floor on another machine; `nil` for what means nothing there.
    var travelFloor: Double?
    /// Whether baselines have it: CPU time only, which other load disturbs least.
    var isGated = false

    /// Retired instructions: exact.
    static let instructions = MetricRule(
        direction: .lowerIsBetter, noiseFloor: 0.01, sessionFloor: 0.01, travelFloor: 0.01,
        isGated: true)

    /// A line of the table: what it is of. `to: nil` is for a ratio to anything.
    private struct Row {
        let workloads: [String]
        let metrics: [String]
        var to: String?
        let rule: MetricRule
    }

    /// The table, of which the first line that fits counts. What is not in it is not compared.
    ///
    /// Floors are what the metric moves by itself where nothing has changed: docs/measuring.md.
    private static let table = [
        Row(
            workloads: ["pool"], metrics: ["ns_per_op"], to: "c-twin",
            rule: MetricRule(
                direction: .lowerIsBetter, noiseFloor: 0.05, sessionFloor: 0.15,
                travelFloor: 0.3, isGated: true)),
        Row(
            workloads: ["pool"], metrics: ["ns_per_op"], to: "memcpy",
            rule: MetricRule(
                direction: .lowerIsBetter, noiseFloor: 0.05, sessionFloor: 0.2, isGated: true)),
        Row(
            workloads: ["pool"], metrics: ["ns_per_op"],
            rule: MetricRule(direction: .lowerIsBetter, noiseFloor: 0.1, sessionFloor: 0.25)),
        Row(
            workloads: ["pool"], metrics: ["scaling", "scaling_cpu"],
            rule: MetricRule(direction: .higherIsBetter, noiseFloor: 0.15, sessionFloor: 0.3)),
        Row(
            workloads: ["pool", "block", "net"], metrics: ["throughput", "iops", "pps"],
            rule: MetricRule(direction: .higherIsBetter, noiseFloor: 0.1, sessionFloor: 0.25)),
        Row(
            workloads: ["block", "net"], metrics: ["cpu_ns_per_op", "cpu_ns_per_frame"],
            rule: MetricRule(
                direction: .lowerIsBetter, noiseFloor: 0.08, sessionFloor: 0.25, isGated: true)),
        Row(
            workloads: ["block", "net"], metrics: ["added_cpu_per_floor"],
            rule: MetricRule(
                direction: .lowerIsBetter, scale: .absolute, noiseFloor: 0.25, sessionFloor: 0.5)),
    ]

    static func of(_ ratio: Ratio) -> MetricRule? {
        table.first {
            $0.workloads.contains(ratio.workload) && $0.metrics.contains(ratio.metric)
                && ($0.to == nil || $0.to == ratio.to)
        }?.rule
    }
}
