extension Report where Run == BlockRun {
    /// The report for a person: every case, its paths under each other, ratios to `direct`.
    var readable: ReportText {
        ReportText(
            warnings: warnings + errorWarnings, heading: heading,
            tables: runs.isEmpty ? [] : [table],
            remarks: remarks)
    }

    private var table: TextTable {
        var table = TextTable(
            header: [
                "case", "path", "IOPS", "MB/s", "p50 µs", "p99 µs", "CPU µs/op", "user", "sys",
                "copied", "full", "IOPS / direct", "CPU / direct", "added CPU / memcpy",
            ] + (hasSeveralWays ? ["IOPS / engine", "CPU / engine"] : []), leftAlignedCount: 2)
        var former: String?
        for run in runs {
            let name = run.caseName
            if let former, former != name { table.appendGap() }
            table.append(
                [
                    former == name ? "" : name,
                    run.laneName + (run.lacksFixedBuffers ? " (!)" : ""),
                    run.iops.median.short, (run.bwBytes / 1e6).fixed(0),
                    Double(run.clatNs.percentile["50.000000"] ?? 0).microseconds,
                    Double(run.clatNs.percentile["99.000000"] ?? 0).microseconds,
                    run.cpuNsPerOp.microseconds, run.userNsPerOp.microseconds,
                    run.systemNsPerOp.microseconds, copiedText(run),
                    run.poolFull == 0 ? "" : "\(run.poolFull)",
                    ratioText(run, "iops"), ratioText(run, "cpu_ns_per_op"),
                    ratioText(run, "added_cpu_per_floor") + floorText(run),
                ]
                    + (hasSeveralWays
                        ? [engineText(run, "iops"), engineText(run, "cpu_ns_per_op")] : []))
            former = name
        }
        return table
    }

    private var errorWarnings: [String] {
        runs.filter { $0.errors > 0 }.map {
            "\($0.errors) requests failed, \($0.laneName), \($0.caseName): its figures are of the others only."
        }
    }

    private var heading: [String] {
        let flags = host.ringFlags.map { $0.replacing("IORING_SETUP_", with: "") }
        var lines = [host.heading]
        if let storage = host.storage {
            let kind = storage.blockDevice ? "block device" : "file"
            let mode =
                storage.direct
                ? "O_DIRECT, alignment \(storage.offsetAlignment)" : "through the page cache"
            lines.append(
                "\(kind) of \(ByteSize(Int(storage.bytes))), \(mode); "
                    + "guest memory \(ByteSize(host.guestMemoryBytes)) in \(host.guestPages) pages, "
                    + "window \(ByteSize(host.windowBytes)) in \(host.windowPages) pages; "
                    + "ring \(flags.isEmpty ? "without flags" : flags.joined(separator: " | "))")
        }
        return lines
    }

    private var remarks: [String] {
        var lines =
            noiseLines(runs.map(\.rounds), warmUp: runs.map(\.warmupRounds)) + [
                "Ratios are of the same round. "
                    + "added CPU / memcpy: CPU time per operation that the path needs more than direct, in copies"
                    + " of the payload by memcpy (µs in parentheses)."
            ]
        if runs.contains(where: { $0.lacksFixedBuffers }) {
            lines.append(
                "(!) memory could not be registered: this path ran without fixed buffers."
                    + " RLIMIT_MEMLOCK is \(host.memlockBytes) bytes; raise it (ulimit -l).")
        }
        if let storage = host.storage,
            runs.contains(where: { $0.blockBytes % max(storage.offsetAlignment, 1) != 0 })
        {
            lines.append(
                "Blocks that are no multiple of \(storage.offsetAlignment) bytes went through the page"
                    + " cache: direct I/O does not take them here.")
        }
        return lines
    }

    /// Bytes copied an operation; not always the block, since a round cuts operations in two.
    private func copiedText(_ run: BlockRun) -> String {
        run.copiedBytesPerOp < 1024
            ? run.copiedBytesPerOp.fixed(0) : (run.copiedBytesPerOp / 1024).fixed(1) + "k"
    }

    private func ratioText(_ run: BlockRun, _ metric: String) -> String {
        guard
            let ratio = ratios.first(where: {
                $0.metric == metric && $0.via == run.via.rawValue && $0.toVia == nil
                    && $0.of == run.path.rawValue && $0.to == "direct"
                    && $0.rw == run.rw && $0.blockBytes == run.blockBytes && $0.depth == run.depth
            })
        else { return "" }
        return ratio.text
    }

    private var hasSeveralWays: Bool {
        ratios.contains { $0.toVia == BlockVia.engine.rawValue }
    }

    /// The ratio to the same path by the engine alone.
    private func engineText(_ run: BlockRun, _ metric: String) -> String {
        ratios.first {
            $0.metric == metric && $0.via == run.via.rawValue
                && $0.toVia == BlockVia.engine.rawValue && $0.of == run.path.rawValue
                && $0.rw == run.rw && $0.blockBytes == run.blockBytes && $0.depth == run.depth
        }?.text ?? ""
    }

    private func floorText(_ run: BlockRun) -> String {
        guard run.path.bounces,
            let floor = floors.first(where: {
                $0.rw == run.rw && $0.blockBytes == run.blockBytes && $0.depth == run.depth
            })
        else { return "" }
        return " (\(floor.memcpyNs.microseconds))"
    }
}

extension BlockRun {
    /// Whether memory was to be registered and is not. Of another process nobody knows.
    fileprivate var lacksFixedBuffers: Bool {
        via != .vhostUser && path.registersMemory && !fixedBuffers
    }
}
