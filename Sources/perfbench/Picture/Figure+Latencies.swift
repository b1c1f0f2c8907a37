extension Figure {
    /// Latencies by percentile, and the numbers of those that are commonly looked at.
    static func latencies(
        name: String, title: String, caption: String,
        _ series: [(name: String, look: Series.Look, latency: BlockRun.Latency)]
    ) -> Figure {
        let percentiles = [50, 90, 99, 99.9, 99.99]
        var table = TextTable(
            header: ["path", "p50 µs", "p90", "p99", "p99.9", "p99.99", "max", "count"],
            leftAlignedCount: 1)
        for entry in series {
            let values = percentiles.map {
                entry.latency.percentile[BlockRun.Latency.key($0)].map { Double($0) } ?? .nan
            }
            table.append(
                [entry.name] + (values + [Double(entry.latency.max)]).map(\.microseconds)
                    + ["\(entry.latency.n)"])
        }
        return Figure(
            name: name, section: "Latency", title: title, caption: caption,
            commands: Chart.byPercentile(series), numbers: table)
    }
}

extension Array where Element: Hashable {
    /// The elements without those that came before, in order.
    var uniqued: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
