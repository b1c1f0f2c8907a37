extension Report where Run == PoolRun {
    /// The report for a person: mappings of one size, then churns.
    var table: String {
        guard !runs.isEmpty else { return "Nothing was measured.\n" }
        let steady = runs.filter { $0.op != .churn }
        let churns = runs.filter { $0.op == .churn }
        var text = host.heading + "\n"
        if !steady.isEmpty { text += steadyTable(steady) + "\n" }
        if !churns.isEmpty { text += churnTable(churns) + "\n" }
        return text + legend
    }

    private func steadyTable(_ runs: [PoolRun]) -> String {
        var table = TextTable(
            header: [
                "case", "path", "ns/op", "[low, high]", "pool / it", "Mop/s", "GB/s", "refused",
                "× 1 thread", "by CPU",
            ], leftAlignedCount: 2)
        append(runs, to: &table) { run in
            [
                "[\(run.nsPerOp.low.fixed(1)), \(run.nsPerOp.high.fixed(1))]",
                ratioText("ns_per_op", of: .pool, to: run),
                (run.opsPerSecond.median / 1e6).fixed(2),
                run.op.copies
                    ? (run.opsPerSecond.median * Double(run.bytes) / 1e9).fixed(2) : "",
                refusedText(run), ratioText("scaling", of: run.path, to: run),
                ratioText("scaling_cpu", of: run.path, to: run),
            ]
        }
        return table.text
    }

    private func churnTable(_ runs: [PoolRun]) -> String {
        var table = TextTable(
            header: [
                "case", "path", "ns/op", "map p50 ns", "p99", "p99.9", "max", "refused",
                "throughput, pool / it", "× 1 thread", "by CPU",
            ], leftAlignedCount: 2)
        append(runs, to: &table) { run in
            ["50.000000", "99.000000", "99.900000"].map { percentile in
                run.mapLatencyNs?.percentile[percentile].map { "\($0)" } ?? ""
            } + [
                run.mapLatencyNs.map { "\($0.max)" } ?? "", refusedText(run),
                ratioText("throughput", of: .pool, to: run),
                ratioText("scaling", of: run.path, to: run),
                ratioText("scaling_cpu", of: run.path, to: run),
            ]
        }
        return table.text
    }

    /// Appends a row for each run: its case where it is a new one, its path, its time, and `rest`.
    private func append(
        _ runs: [PoolRun], to table: inout TextTable, _ rest: (PoolRun) -> [String]
    ) {
        var former: String?
        for run in runs {
            let size = run.op == .churn ? "" : " \(ByteSize(run.bytes))"
            let name = "\(run.op.rawValue)\(size) at \((run.occupancy * 100).fixed(0)) %"
            if let former, former != name { table.appendGap() }
            table.append(
                [
                    former == name ? "" : name, "\(run.path.rawValue) ×\(run.threads)",
                    run.nsPerOp.median.fixed(1),
                ] + rest(run))
            former = name
        }
    }

    private func refusedText(_ run: PoolRun) -> String {
        run.refusals == 0 ? "" : (run.refusedShare * 100).fixed(2) + " %"
    }

    /// The ratio of a path to that of a run, with as many threads as it.
    private func ratioText(_ metric: String, of path: PoolPath, to run: PoolRun) -> String {
        ratios.first {
            $0.metric == metric && $0.of == path.rawValue && $0.to == run.path.rawValue
                && $0.op == run.op && $0.blockBytes == run.bytes && $0.threads == run.threads
                && $0.occupancy == run.occupancy
        }?.text ?? ""
    }

    private var legend: String {
        var lines =
            noiseLines(runs.map(\.rounds), warmUp: runs.map(\.warmupRounds)) + [
                "Ratios are of the same round. "
                    + "ns/op: CPU time of a mapping made and one ended; of a churn, of one made or ended. "
                    + "Mop/s, GB/s and × 1 thread: by the clock on the wall, all threads together; "
                    + "by CPU: as if each thread had a processor for itself."
            ]
        if let clock = runs.lazy.compactMap(\.clockNs).first {
            lines.append(
                "Latencies of a churn's maps are from a pass of their own; reading the clock, "
                    + "\(clock) ns, is subtracted. Sizes: \(SizeMix.description).")
        }
        if runs.contains(where: { $0.refusals > 0 }) {
            lines.append("refused: of all attempts to map; each counts as an operation.")
        }
        if interrupted { lines.append("Interrupted: only whole rounds are shown.") }
        if let failure { lines.append("Ended early, \(failure): only whole rounds are shown.") }
        return lines.map { $0 + "\n" }.joined()
    }
}
