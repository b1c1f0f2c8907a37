extension Report where Run == PoolRun {
    var figures: [Figure] { steadyFigures + latencyFigures }

    /// What an operation costs by size, for each operation and occupancy.
    private var steadyFigures: [Figure] {
        let steady = runs.filter { $0.op != .churn }
        return steady.map { SteadyCase(operation: $0.op, occupancy: $0.occupancy) }.uniqued.map {
            plan in
            let runs = steady.filter {
                $0.op == plan.operation && $0.occupancy == plan.occupancy
            }
            var table = TextTable(
                header: ["case", "path", "ns/op", "low", "high"], leftAlignedCount: 2)
            for run in runs {
                table.append(
                    [run.caseName, run.laneName]
                        + [run.nsPerOp.median, run.nsPerOp.low, run.nsPerOp.high].map {
                            $0.fixed(1)
                        })
            }
            return Figure(
                name: Figure.name(plan.operation.rawValue, "\(plan.percent)"),
                section: "Time of an operation",
                title: "\(plan.operation.rawValue), pool \(plan.percent) % full",
                caption: "CPU time of a mapping made and one ended."
                    + (plan.operation.copies ? " memcpy is the floor: the copies alone." : "")
                    + " \(intervalCaption)",
                commands: Chart.bySize(
                    lanes(of: runs).map { lane, look, runs in
                        Series(
                            name: lane, look: look,
                            points: runs.map {
                                Series.Point(
                                    x: Double($0.bytes), y: $0.nsPerOp.median, low: $0.nsPerOp.low,
                                    high: $0.nsPerOp.high)
                            })
                    }, xLabel: "buffer size", yLabel: "ns", isLogarithmic: true), numbers: table)
        }
    }

    private struct SteadyCase: Hashable {
        let operation: PoolOperation
        let occupancy: Double

        var percent: Int { Int((occupancy * 100).rounded()) }
    }

    private var latencyFigures: [Figure] {
        let churns = runs.filter { $0.op == .churn && $0.mapLatencyNs != nil }
        return churns.map(\.caseName).uniqued.map { name in
            let runs = churns.filter { $0.caseName == name }
            return .latencies(
                name: Figure.name("latency", name), title: "Latency of a map: \(name)",
                caption: "Mappings of mixed sizes, made and ended in random order, by percentile.",
                lanes(of: runs).flatMap { lane, look, runs in
                    runs.compactMap { run in run.mapLatencyNs.map { (lane, look, $0) } }
                })
        }
    }

    /// Runs by what is compared. A path has its own colour while it has one number of threads only.
    private func lanes(of runs: [PoolRun]) -> [(name: String, look: Series.Look, runs: [PoolRun])] {
        let isAlone = runs.map(\.threads).uniqued.count == 1
        return runs.map(\.laneName).uniqued.enumerated().map { index, name in
            let runs = runs.filter { $0.laneName == name }
            return (name, isAlone ? runs[0].path.look : .number(index), runs)
        }
    }
}
