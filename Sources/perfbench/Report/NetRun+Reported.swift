extension NetRun: ReportedRun {
    static let workloadName = "net"

    var labels: KeyValuePairs<String, String> {
        [
            "via": via.rawValue, "path": path.rawValue, "sink": sink.rawValue,
            "direction": direction.rawValue, "frame_bytes": "\(frameBytes)", "burst": "\(burst)",
        ]
    }

    var measures: [Measure] {
        [
            Measure("pps", pps), Measure("bps", bps), Measure("cpu_ns_per_frame", cpuNsPerFrame),
        ] + Measure.percentiles("round_trip_ns", roundTripNs) + [
            Measure("pool_full", Double(poolFull))
        ] + (receivedPps.map { [Measure("received_pps", $0)] } ?? [])
            + (drops.map { [Measure("drops", Double($0.values.reduce(0, +)))] } ?? [])
    }

    func isNumerator(of ratio: Ratio) -> Bool {
        ratio.of == path.rawValue && ratio.via == via.rawValue && ratio.frameBytes == frameBytes
            && ratio.burst == burst
    }

    func copies(_ floor: Floor) -> Bool {
        path == .bounce && floor.frameBytes == frameBytes && floor.burst == burst
    }

    static func text(of report: Report<NetRun>) -> ReportText { report.readable }
    static func figures(of report: Report<NetRun>) -> [Figure] { report.figures }

    /// What is compared at one point, for a person.
    var caseName: String {
        "\(sink.rawValue) \(direction.rawValue) \(ByteSize(frameBytes)) ×\(burst)"
    }
    /// What is compared there, for a person.
    var laneName: String { NetLane(via: via, path: path).description }
}
