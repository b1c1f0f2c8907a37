extension Report where Run == NetRun {
    /// The report for a person: every case, its lanes under each other, ratios to `direct`.
    var table: String {
        guard !runs.isEmpty else { return "Nothing was measured.\n" }
        var table = TextTable(
            header: [
                "case", "path", "Mframes/s", "[low, high]", "Gbit/s", "CPU ns/frame",
                "round trip p50 µs", "p99 µs", "full", "dropped", "frames/s / direct", "added ns",
                "added CPU ns", "added CPU / memcpy",
            ], leftAlignedCount: 2)
        var former: String?
        for run in runs {
            let name =
                "\(run.sink.rawValue) \(run.direction.rawValue) \(ByteSize(run.frameBytes)) ×\(run.burst)"
            if let former, former != name { table.appendGap() }
            table.append([
                former == name ? "" : name, NetLane(via: run.via, path: run.path).description,
                (run.pps.median / 1e6).fixed(2),
                "[\((run.pps.low / 1e6).fixed(2)), \((run.pps.high / 1e6).fixed(2))]",
                (run.bps / 1e9).fixed(1), run.cpuNsPerFrame.median.fixed(0),
                Double(run.roundTripNs.percentile["50.000000"] ?? 0).microseconds,
                Double(run.roundTripNs.percentile["99.000000"] ?? 0).microseconds,
                run.poolFull == 0 ? "" : "\(run.poolFull)", dropsText(run),
                ratioText(run, "pps", 2),
                ratioText(run, "added_ns_per_frame", 0),
                ratioText(run, "added_cpu_ns_per_frame", 0),
                ratioText(run, "added_cpu_per_floor", 2) + floorText(run),
            ])
            former = name
        }
        return host.heading + "\n" + table.text + legend
    }

    private var legend: String {
        var lines =
            [""] + noiseLines(runs.map(\.rounds), warmUp: runs.map(\.warmupRounds)) + [
                "Ratios and differences are of the same round.",
                "CPU time is of driver and device together; over vhost-user both look for work all the time.",
                "On every path the driver writes each frame before it sends it, and reads each that has come.",
                "added: what a frame takes longer than direct, by the clock, and in CPU time; that in copies of"
                    + " the frame by memcpy, too (ns in parentheses).",
            ]
        if interrupted { lines.append("Interrupted: only whole rounds are shown.") }
        if let failure { lines.append("Ended early, \(failure): only whole rounds are shown.") }
        return lines.map { $0 + "\n" }.joined()
    }

    private func dropsText(_ run: NetRun) -> String {
        guard let drops = run.drops else { return "unknown" }
        return drops.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            .joined(separator: ", ")
    }

    private func ratioText(_ run: NetRun, _ metric: String, _ places: Int) -> String {
        guard run.path == .bounce,
            let ratio = ratios.first(where: {
                $0.metric == metric && $0.via == run.via.rawValue
                    && $0.frameBytes == run.frameBytes && $0.burst == run.burst
            })
        else { return "" }
        return ratio.text(places)
    }

    private func floorText(_ run: NetRun) -> String {
        guard run.path == .bounce,
            let floor = floors.first(where: {
                $0.frameBytes == run.frameBytes && $0.burst == run.burst
            })
        else { return "" }
        return " (\(floor.memcpyNs.fixed(1)))"
    }
}
