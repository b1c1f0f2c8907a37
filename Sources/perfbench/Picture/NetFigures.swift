extension Report where Run == NetRun {
    var figures: [Figure] { bursts.flatMap { [rateFigure($0)] + addedFigure($0) } + latencyFigures }

    private var bursts: [Int] { runs.map(\.burst).uniqued }

    private func rateFigure(_ burst: Int) -> Figure {
        let runs = runs.filter { $0.burst == burst }
        var table = TextTable(
            header: ["case", "path", "Mframes/s", "low", "high"], leftAlignedCount: 2)
        for run in runs {
            table.append(
                [run.caseName, run.laneName]
                    + [run.pps.median, run.pps.low, run.pps.high].map { ($0 / 1e6).fixed(3) })
        }
        let series = runs.map(\.laneName).uniqued.enumerated().map { index, lane in
            Series(
                name: lane, look: .number(index),
                points: runs.filter { $0.laneName == lane }.map {
                    Series.Point(
                        x: Double($0.frameBytes), y: $0.pps.median / 1e6, low: $0.pps.low / 1e6,
                        high: $0.pps.high / 1e6)
                })
        }
        return Figure(
            name: Figure.name("frames", "burst", "\(burst)"), section: "Frames a second",
            title: "Million frames a second, bursts of \(burst)",
            caption: intervalCaption,
            commands: Chart.bySize(
                series, xLabel: "frame bytes", yLabel: "million a second", isLogarithmic: true),
            numbers: table)
    }

    private func addedFigure(_ burst: Int) -> [Figure] {
        let found = ratios.filter { $0.metric == "added_cpu_per_floor" && $0.burst == burst }
        guard !found.isEmpty else { return [] }
        var table = TextTable(
            header: ["frame bytes", "via", "memcpy ns", "added / memcpy", "low", "high"],
            leftAlignedCount: 2)
        for ratio in found {
            let floor = floors.first { $0.frameBytes == ratio.frameBytes && $0.burst == burst }
            table.append(
                ["\(ratio.frameBytes ?? 0)", ratio.via ?? "", floor?.memcpyNs.fixed(1) ?? ""]
                    + [ratio.median, ratio.low, ratio.high].map { $0.fixed(2) })
        }
        let series = found.compactMap(\.via).uniqued.enumerated().map { index, via in
            Series(
                name: via, look: .number(index),
                points: found.filter { $0.via == via }.map {
                    Series.Point(
                        x: Double($0.frameBytes ?? 0), y: $0.median, low: $0.low, high: $0.high)
                })
        }
        return [
            Figure(
                name: Figure.name("added-cpu", "burst", "\(burst)"), section: "CPU time",
                title: "CPU time that bouncing adds, bursts of \(burst)",
                caption:
                    "CPU time that a frame takes more than without bouncing, in copies of it by"
                    + " memcpy: at the line, the floor, bouncing costs its copy and nothing else."
                    + " \(intervalCaption)",
                commands: Chart.bySize(
                    series, xLabel: "frame bytes", yLabel: "copies by memcpy",
                    reference: (1, "floor: one memcpy")), numbers: table)
        ]
    }

    private var latencyFigures: [Figure] {
        runs.map(\.caseName).uniqued.map { name in
            .latencies(
                name: Figure.name("latency", name), title: "Round trip: \(name)",
                caption:
                    "From making one frame to having it back, or its buffer, with no other under"
                    + " way, by percentile.",
                runs.filter { $0.caseName == name }.enumerated().map { index, run in
                    (run.laneName, .number(index), run.roundTripNs)
                })
        }
    }
}
