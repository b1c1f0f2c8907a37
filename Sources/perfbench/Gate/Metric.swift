/// One thing that is compared, by its name in baselines and reports.
struct Metric {
    let name: String
    let rule: MetricRule
    /// Whether the value is the same each time.
    let isExact: Bool

    /// - Returns: `nil` for what the table of rules does not have.
    init?(_ ratio: Ratio) {
        guard let rule = MetricRule.of(ratio) else { return nil }
        self.rule = rule
        name = ratio.name
        isExact = false
    }

    init(_ probe: Probe) {
        name = "instructions \(probe.rawValue)"
        rule = .instructions
        isExact = true
    }
}

extension Ratio {
    /// What it is of, the same for every run of the same case: `pool map-unmap 4k ×1 at 50 %: ns_per_op
    /// pool / c-twin`.
    var name: String {
        var words = [workload, via, op?.rawValue, rw?.rawValue].compactMap { $0 }
        if let size = blockBytes ?? frameBytes, op != .churn { words.append("\(ByteSize(size))") }
        if let count = depth ?? burst ?? threads { words.append("×\(count)") }
        if let occupancy { words.append("at \((occupancy * 100).fixed(0)) %") }
        return words.joined(separator: " ") + ": \(metric) \(of) / \(to)"
            + (toVia.map { " via \($0)" } ?? "")
    }
}
