extension BlockRun: ReportedRun {
    static let workloadName = "block"

    var labels: KeyValuePairs<String, String> {
        [
            "via": via.rawValue, "path": path.rawValue, "rw": rw.rawValue,
            "block_bytes": "\(blockBytes)", "depth": "\(depth)",
        ]
    }

    var measures: [Measure] {
        [
            Measure("iops", iops), Measure("bw_bytes", bwBytes),
            Measure("cpu_ns_per_op", cpuNsPerOpInterval), Measure("user_ns_per_op", userNsPerOp),
            Measure("system_ns_per_op", systemNsPerOp),
            Measure("copied_bytes_per_op", copiedBytesPerOp),
        ] + Measure.percentiles("clat_ns", clatNs) + [
            Measure("pool_full", Double(poolFull)), Measure("errors", Double(errors)),
        ]
    }

    func isNumerator(of ratio: Ratio) -> Bool {
        ratio.of == path.rawValue && ratio.via == via.rawValue && ratio.rw == rw
            && ratio.blockBytes == blockBytes && ratio.depth == depth
    }

    func copies(_ floor: Floor) -> Bool {
        path.bounces && floor.rw == rw && floor.blockBytes == blockBytes && floor.depth == depth
    }

    static func text(of report: Report<BlockRun>) -> ReportText { report.readable }
    static func figures(of report: Report<BlockRun>) -> [Figure] { report.figures }

    /// What is compared at one point, for a person.
    var caseName: String { "\(rw.rawValue) \(ByteSize(blockBytes)) ×\(depth)" }
    /// What is compared there, for a person.
    var laneName: String { BlockLane(via: via, path: path).description }
}
