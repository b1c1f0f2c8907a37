extension Report where Run == BlockRun {
    var figures: [Figure] {
        ratioFigures("iops") + ratioFigures("added_cpu_per_floor") + splitFigures + latencyFigures
            + occupancyFigures
    }

    /// Bounce over direct by block size, for each pattern.
    private func ratioFigures(_ metric: String) -> [Figure] {
        let isRate = metric == "iops"
        let found = ratios.filter {
            $0.metric == metric && $0.of == BlockPath.bounce.rawValue && $0.to == "direct"
                && $0.toVia == nil
        }
        let patterns = found.compactMap(\.rw).uniqued
        return patterns.map { pattern in
            let ratios = found.filter { $0.rw == pattern }
            let lanes = ratios.map { RatioLane(via: $0.via ?? "", depth: $0.depth ?? 0) }.uniqued
            let series = lanes.enumerated().map { index, lane in
                Series(
                    name: lane.name, look: .number(index),
                    points: ratios.filter { $0.via == lane.via && $0.depth == lane.depth }.map {
                        Series.Point(
                            x: Double($0.blockBytes ?? 0), y: $0.median, low: $0.low, high: $0.high)
                    })
            }
            return Figure(
                name: Figure.name(isRate ? "throughput" : "added-cpu", pattern.rawValue),
                section: isRate ? "Operations a second" : "CPU time",
                title: isRate
                    ? "Operations a second, bounced over direct: \(pattern.rawValue)"
                    : "CPU time that bouncing adds: \(pattern.rawValue)",
                caption: isRate
                    ? "Above the line bouncing makes more operations a second than direct access, below"
                        + " it fewer. \(intervalCaption)"
                    : "CPU time that an operation takes more than a direct one, in copies of its payload"
                        + " by memcpy: at the line, the floor, bouncing costs its copy and nothing else."
                        + " \(intervalCaption)",
                commands: Chart.bySize(
                    series, xLabel: "block size",
                    yLabel: isRate ? "bounce / direct" : "copies by memcpy",
                    reference: isRate ? (1, "direct") : (1, "floor: one memcpy")),
                numbers: ratioTable(ratios, isRate: isRate))
        }
    }

    /// What the lines of the figures of ratios are.
    private struct RatioLane: Hashable {
        let via: String
        let depth: Int

        var name: String {
            via == BlockVia.engine.rawValue ? "depth \(depth)" : "\(via), depth \(depth)"
        }
    }

    private func ratioTable(_ ratios: [Ratio], isRate: Bool) -> TextTable {
        var table = TextTable(
            header: isRate
                ? ["case", "via", "direct IOPS", "bounce IOPS", "bounce / direct", "low", "high"]
                : [
                    "case", "via", "direct CPU µs", "bounce CPU µs", "memcpy µs", "added / memcpy",
                    "low", "high",
                ], leftAlignedCount: 2)
        for ratio in ratios {
            func run(_ path: String) -> BlockRun? {
                runs.first {
                    $0.path.rawValue == path && $0.via.rawValue == ratio.via && $0.rw == ratio.rw
                        && $0.blockBytes == ratio.blockBytes && $0.depth == ratio.depth
                }
            }
            guard let bounce = run(ratio.of), let direct = run(ratio.to) else { continue }
            let floor = floors.first { bounce.copies($0) }
            let values =
                isRate
                ? [direct.iops.median.short, bounce.iops.median.short]
                : [
                    direct.cpuNsPerOp.microseconds, bounce.cpuNsPerOp.microseconds,
                    floor?.memcpyNs.microseconds ?? "",
                ]
            table.append(
                [bounce.caseName, bounce.via.rawValue] + values
                    + [ratio.median, ratio.low, ratio.high].map { $0.fixed(2) })
        }
        return table
    }

    /// CPU time of every run, split.
    private var splitFigures: [Figure] {
        guard !runs.isEmpty else { return [] }
        var rows: [Chart.BarRow] = []
        var table = TextTable(
            header: ["case", "path", "system µs", "copy µs", "path µs", "all µs"],
            leftAlignedCount: 2)
        for name in runs.map(\.caseName).uniqued {
            rows.append(.heading(name))
            for run in runs where run.caseName == name {
                let split = CPUSplit(run, floor: floors.first { run.copies($0) })
                rows.append(.bar(name: run.laneName, parts: split.parts.map { $0 / 1000 }))
                table.append(
                    [run.caseName, run.laneName]
                        + (split.parts + [run.cpuNsPerOp]).map(\.microseconds))
            }
        }
        return [
            Figure(
                name: "cpu-split", section: "CPU time",
                title: "CPU time of an operation, by what it is for",
                caption:
                    "System: inside the kernel, by the share that the system tells (it samples). Copy:"
                    + " an estimate, what memcpy takes for as many bytes as were copied. Path: the rest."
                    + " Medians over rounds.",
                height: 80 + 19 * rows.count,
                commands: Chart.bars(
                    rows,
                    parts: [("system", .blue), ("copy (estimate)", .amber), ("path", .vermilion)],
                    xLabel: "µs"), numbers: table)
        ]
    }

    private var latencyFigures: [Figure] {
        runs.map(\.caseName).uniqued.map { name in
            let runs = runs.filter { $0.caseName == name }
            return .latencies(
                name: Figure.name("latency", name), title: "Latency: \(name)",
                caption: "From the start of a request's mapping to the end of its unmapping, by"
                    + " percentile: so many per cent of requests took at most that long.",
                runs.enumerated().map { index, run in
                    (
                        run.laneName,
                        run.via == runs[0].via ? run.path.look : .number(index), run.clatNs
                    )
                })
        }
    }

    private var occupancyFigures: [Figure] {
        runs.map(\.caseName).uniqued.compactMap { name in
            let watched = runs.filter { $0.caseName == name && $0.occupancy != nil }
            guard let slots = watched.first?.occupancy?.slots else { return nil }
            var table = TextTable(
                header: ["path", "looks", "least", "median", "most", "of slots"],
                leftAlignedCount: 1)
            var series: [Series] = []
            for run in watched {
                guard let occupancy = run.occupancy, !occupancy.ms.isEmpty else { continue }
                let used = occupancy.usedSlots.sorted()
                table.append(
                    [run.laneName]
                        + [used.count, used[0], used[used.count / 2], used[used.count - 1], slots]
                        .map { "\($0)" })
                series.append(
                    Series(
                        name: run.laneName, look: .number(series.count),
                        points: zip(occupancy.ms, occupancy.usedSlots).map {
                            Series.Point(x: $0, y: Double($1))
                        }))
            }
            guard !series.isEmpty else { return nil }
            return Figure(
                name: Figure.name("occupancy", name), section: "Slots of the pool in use",
                title: "Slots in use: \(name)",
                caption:
                    "Slots in mappings, of the pool's \(slots), looked at from another thread in a"
                    + " pass that is not timed.",
                commands: Chart.overTime(series, yLabel: "slots"), numbers: table)
        }
    }
}
