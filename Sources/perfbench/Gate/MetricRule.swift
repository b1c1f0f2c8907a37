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
    /// Whether the value means the same on another machine.
    var travels = false
    /// Whether baselines have it: CPU time only, which other load disturbs least.
    var isGated = false

    /// Retired instructions: exact.
    static let instructions = MetricRule(
        direction: .lowerIsBetter, noiseFloor: 0.01, sessionFloor: 0.01, travels: true,
        isGated: true)

    /// The table. What is not in it is not compared.
    ///
    /// Floors are what the metric moves by itself where nothing has changed: docs/measuring.md.
    private static let table: [(workload: String, metric: String, to: String?, rule: MetricRule)] =
        [
            (
                "pool", "ns_per_op", "c-twin",
                MetricRule(
                    direction: .lowerIsBetter, noiseFloor: 0.05, sessionFloor: 0.15, travels: true,
                    isGated: true)
            ),
            (
                "pool", "ns_per_op", "memcpy",
                MetricRule(
                    direction: .lowerIsBetter, noiseFloor: 0.05, sessionFloor: 0.2, isGated: true)
            ),
            (
                "pool", "ns_per_op", nil,
                MetricRule(direction: .lowerIsBetter, noiseFloor: 0.1, sessionFloor: 0.25)
            ),
            (
                "pool", "throughput", nil,
                MetricRule(direction: .higherIsBetter, noiseFloor: 0.1, sessionFloor: 0.25)
            ),
            (
                "pool", "scaling", nil,
                MetricRule(direction: .higherIsBetter, noiseFloor: 0.15, sessionFloor: 0.3)
            ),
            (
                "pool", "scaling_cpu", nil,
                MetricRule(direction: .higherIsBetter, noiseFloor: 0.15, sessionFloor: 0.3)
            ),
            (
                "block", "iops", nil,
                MetricRule(direction: .higherIsBetter, noiseFloor: 0.1, sessionFloor: 0.25)
            ),
            (
                "block", "cpu_ns_per_op", nil,
                MetricRule(
                    direction: .lowerIsBetter, noiseFloor: 0.08, sessionFloor: 0.25, isGated: true)
            ),
            (
                "block", "added_cpu_per_floor", nil,
                MetricRule(
                    direction: .lowerIsBetter, scale: .absolute, noiseFloor: 0.25, sessionFloor: 0.5
                )
            ),
            (
                "net", "pps", nil,
                MetricRule(direction: .higherIsBetter, noiseFloor: 0.1, sessionFloor: 0.25)
            ),
            (
                "net", "cpu_ns_per_frame", nil,
                MetricRule(
                    direction: .lowerIsBetter, noiseFloor: 0.08, sessionFloor: 0.25, isGated: true)
            ),
            (
                "net", "added_cpu_per_floor", nil,
                MetricRule(
                    direction: .lowerIsBetter, scale: .absolute, noiseFloor: 0.25, sessionFloor: 0.5
                )
            ),
        ]

    static func of(_ ratio: Ratio) -> MetricRule? {
        table.first {
            $0.workload == ratio.workload && $0.metric == ratio.metric
                && ($0.to == nil || $0.to == ratio.to)
        }?.rule
    }
}
