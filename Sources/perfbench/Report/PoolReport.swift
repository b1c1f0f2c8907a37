/// One operation at one size through one path, as reported.
struct PoolRun: Encodable {
    let workload = "pool"
    let path: Path
    let op: PoolOperation
    let bytes: Int
    let threads: Int
    /// The part of the pool's slots that is in mappings.
    let occupancy: Double
    let rounds: Int
    let nsPerOp: Estimate

    enum Path: String, Encodable {
        case pool
        /// The payload's copy without a pool.
        case memcpy
    }
}

extension Report where Run == PoolRun {
    init(_ results: [PoolMeasurement.CaseResult], host: HostFacts, interrupted: Bool) {
        self.host = host
        self.interrupted = interrupted
        runs = []
        ratios = []
        floors = []
        for result in results where !result.pool.isEmpty {
            func run(_ path: PoolRun.Path, _ samples: [Double]) -> PoolRun {
                PoolRun(
                    path: path, op: result.operation, bytes: result.byteCount, threads: 1,
                    occupancy: result.occupancy, rounds: samples.count,
                    nsPerOp: Estimate(samples))
            }
            runs.append(run(.pool, result.pool))
            guard !result.copy.isEmpty else { continue }
            runs.append(run(.memcpy, result.copy))
            let ratio = Estimate(zip(result.pool, result.copy).map { $0 / $1 })
            ratios.append(
                Ratio(
                    workload: "pool", metric: "ns_per_op", of: "pool", to: "memcpy",
                    op: result.operation, blockBytes: result.byteCount, median: ratio.median,
                    low: ratio.low, high: ratio.high))
        }
    }

    /// The report for a person.
    var table: String {
        guard !runs.isEmpty else { return "Nothing was measured.\n" }
        var table = TextTable(
            header: ["operation", "size", "pool ns", "memcpy ns", "pool / memcpy", "GB/s"],
            leftAlignedCount: 1)
        var former: PoolOperation?
        for run in runs where run.path == .pool {
            if let former, former != run.op { table.appendGap() }
            let copy = runs.first {
                $0.path == .memcpy && $0.op == run.op && $0.bytes == run.bytes
            }
            let ratio = ratios.first { $0.op == run.op && $0.blockBytes == run.bytes }
            table.append([
                former == run.op ? "" : run.op.rawValue, ByteSize(run.bytes).description,
                run.nsPerOp.median.fixed(1), copy?.nsPerOp.median.fixed(1) ?? "",
                ratio?.text ?? "",
                copy == nil ? "" : (Double(run.bytes) / run.nsPerOp.median).fixed(2),
            ])
            former = run.op
        }
        return host.heading + "\n" + table.text
            + "\nCPU time per mapping made and ended. "
            + Estimate.meaning(roundCount: runs.map(\.rounds).min() ?? 0) + "\n"
            + (interrupted ? "Interrupted: only whole rounds are shown.\n" : "")
    }
}
