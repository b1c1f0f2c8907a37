import Foundation

@testable import perfbench

/// A small result of each workload, made by hand.
enum SampleReport {
    static let host = """
        "host": {"kernel": "6.1", "cpu": "Z80 <4 MHz>", "processors": 2, "ring_flags": [],
          "fixed_buffers": true, "memlock_bytes": -1, "guest_memory_bytes": 268435456,
          "window_bytes": 67108864, "guest_pages": "base", "window_pages": "base",
          "storage": {"bytes": 536870912, "direct": true, "block_device": false,
            "offset_alignment": 512, "memory_alignment": 4},
          "date": "2026-11-28T14:20:31Z", "commit": "0123456789abcdef"}
        """

    static let latency = """
        {"min": 1000, "max": 9000, "mean": 2000.5, "stddev": 10.5, "n": 600,
         "percentile": {"50.000000": 2000, "90.000000": 3000, "99.000000": 8000,
           "99.900000": 8500, "99.990000": 9000}}
        """

    static func blockRun(
        _ path: String, rw: String = "randread", occupancy: Bool = false, errors: Int = 0
    ) -> String {
        let cost = path == "direct" ? 10_000 : 12_000
        let copied = path == "direct" ? 0 : 4096
        let watched = #""occupancy": {"slots": 512, "ms": [0, 1, 2.5], "used_slots": [0, 64, 2]},"#
        return """
            {"workload": "block", "via": "engine", "path": "\(path)", "rw": "\(rw)",
             "block_bytes": 4096, "depth": 2, "rounds": 6,
             "iops": {"median": 1000, "low": 900, "high": 1100},
             "iops_of_rounds": [900, 1000, 1100], "bw_bytes": 4096000, "cpu_ns_per_op": \(cost),
             "cpu_ns_per_op_interval": {"median": \(cost), "low": 9000, "high": 13000},
             "user_ns_per_op": 2000, "system_ns_per_op": 8000, "clat_ns": \(latency),
             "copied_bytes_per_op": \(copied), "pool_full": 0, "errors": \(errors),
             \(occupancy ? watched : "") "fixed_buffers": true}
            """
    }

    static func block(
        _ runs: [String] = [blockRun("direct"), blockRun("bounce", occupancy: true)],
        interrupted: Bool = false, failure: String? = nil
    ) -> String {
        let failure = failure.map { #""failure": "\#($0)","# } ?? ""
        return """
            {"schema": "perfbench/1", \(host), "interrupted": \(interrupted), \(failure)
             "runs": [\(runs.joined(separator: ","))],
             "ratios": [
              {"workload": "block", "via": "engine", "metric": "iops", "of": "bounce", "to": "direct",
               "rw": "randread", "block_bytes": 4096, "depth": 2, "median": 0.9, "low": 0.8,
               "high": 1.25},
              {"workload": "block", "via": "engine", "metric": "added_cpu_per_floor", "of": "bounce",
               "to": "direct", "rw": "randread", "block_bytes": 4096, "depth": 2, "median": 2,
               "low": 1, "high": 3}],
             "floors": [{"rw": "randread", "block_bytes": 4096, "depth": 2, "memcpy_ns": 1000,
               "low": 900, "high": 1100}]}
            """
    }

    static let net = """
        {"schema": "perfbench/1", \(host), "interrupted": false,
         "runs": [{"workload": "net", "via": "virtqueue", "path": "bounce", "sink": "drop",
           "direction": "tx", "frame_bytes": 1514, "burst": 32, "rounds": 6,
           "pps": {"median": 2e6, "low": 1e6, "high": 3e6}, "pps_of_rounds": [2e6], "bps": 24e9,
           "cpu_ns_per_frame": {"median": 100, "low": 90, "high": 110},
           "round_trip_ns": \(latency), "pool_full": 0, "drops": {"no_buffer": 3}}],
         "ratios": [{"workload": "net", "via": "virtqueue", "metric": "added_cpu_per_floor",
           "of": "bounce", "to": "direct", "frame_bytes": 1514, "burst": 32, "median": 0.5,
           "low": 0.4, "high": 0.6}],
         "floors": [{"frame_bytes": 1514, "burst": 32, "memcpy_ns": 70, "low": 60, "high": 80}]}
        """

    static let pool = """
        {"schema": "perfbench/1", \(host), "interrupted": false,
         "runs": [
          {"workload": "pool", "path": "pool", "op": "map-unmap", "bytes": 4096, "threads": 1,
           "occupancy": 0.5, "live": 32, "rounds": 6,
           "ns_per_op": {"median": 26, "low": 25, "high": 27},
           "ops_per_second": {"median": 38e6, "low": 37e6, "high": 39e6}, "maps": 100,
           "refusals": 0, "refused_share": 0},
          {"workload": "pool", "path": "c-twin", "op": "churn", "bytes": 38912, "threads": 2,
           "occupancy": 0.95, "rounds": 6, "ns_per_op": {"median": 60, "low": 50, "high": 70},
           "ops_per_second": {"median": 15e6, "low": 14e6, "high": 16e6}, "maps": 100,
           "refusals": 2, "refused_share": 0.02, "map_latency_ns": \(latency), "clock_ns": 20}],
         "ratios": [], "floors": []}
        """

    static func read<Run>(_ text: String, as: Run.Type) throws -> Report<Run> {
        try Report<Run>(json: Data(text.utf8), from: "sample")
    }
}
