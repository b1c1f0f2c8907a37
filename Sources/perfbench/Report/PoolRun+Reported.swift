extension PoolRun: ReportedRun {
    static let workloadName = "pool"

    var labels: KeyValuePairs<String, String> {
        [
            "path": path.rawValue, "op": op.rawValue, "bytes": "\(bytes)", "threads": "\(threads)",
            "occupancy": "\(occupancy)",
        ]
    }

    var measures: [Measure] {
        [
            Measure("ns_per_op", nsPerOp), Measure("ops_per_second", opsPerSecond),
            Measure("refused_share", refusedShare),
        ] + (mapLatencyNs.map { Measure.percentiles("map_latency_ns", $0) } ?? [])
    }

    func isNumerator(of ratio: Ratio) -> Bool {
        ratio.of == path.rawValue && ratio.op == op && ratio.blockBytes == bytes
            && ratio.threads == threads && ratio.occupancy == occupancy
    }

    /// The copies alone are a path of their own here.
    func copies(_ floor: Floor) -> Bool { false }

    static func text(of report: Report<PoolRun>) -> ReportText { report.readable }
    static func figures(of report: Report<PoolRun>) -> [Figure] { report.figures }

    /// What is compared at one point, for a person.
    var caseName: String {
        let size = op == .churn ? "" : " \(ByteSize(bytes))"
        return "\(op.rawValue)\(size) at \((occupancy * 100).fixed(0)) %"
    }
    /// What is compared there, for a person.
    var laneName: String { PoolVariant(path: path, threadCount: threads).description }
}
