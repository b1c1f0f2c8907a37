import FoundationEssentials
import Glibc

extension Report where Run == BlockRun {
    /// The report by the names of fio's JSON (fio 3, `--output-format=json`), each run a job.
    ///
    /// What fio tells and perfbench does not know, such as context switches, is left out. That the run
    /// ended early is each job's `error`, as fio has it: `EINTR`, or `EIO`; and two keys of our own. A job of
    /// which requests failed has `EIO` in any case, and their number in `total_err`.
    var fioOutput: JSONValue {
        let date = try? Date(host.date, strategy: .iso8601)
        let seconds = Int(date?.timeIntervalSince1970 ?? 0)
        var options: [String: JSONValue] = ["ioengine": "io_uring"]
        // Of a backend's own storage nobody here knows.
        if let storage = host.storage { options["direct"] = storage.direct ? "1" : "0" }
        var output: [String: JSONValue] = [
            "fio version": "perfbench", "timestamp": .integer(seconds),
            "timestamp_ms": .integer(seconds * 1000), "time": .string(host.date),
            "global options": .object(options),
            "jobs": .array(runs.map { $0.fioJob(error: error) }),
        ]
        if interrupted { output["interrupted"] = .boolean(true) }
        if let failure { output["failure"] = .string(failure) }
        return .object(output)
    }

    private var error: Int32 { interrupted ? EINTR : failure != nil ? EIO : 0 }
}

extension BlockRun {
    fileprivate func fioJob(error: Int32) -> JSONValue {
        let idle = Self.fioDirection(nil)
        let busy = Self.fioDirection(self)
        var job: [String: JSONValue] = [
            "jobname": .string(labels.map(\.value).joined(separator: "-")),
            "groupid": 0, "total_err": .integer(errors),
            "error": .integer(Int(error != 0 || errors == 0 ? error : EIO)),
            "elapsed": .integer(Int(seconds.rounded(.up))),
            "job options": [
                "rw": .string(rw.rawValue), "bs": .string("\(blockBytes)"),
                "iodepth": .string("\(depth)"), "numjobs": "1",
            ],
            "job_runtime": .integer(Int(seconds * 1000)),
            "usr_cpu": .number(userNsPerOp * iops.median / 1e7),
            "sys_cpu": .number(systemNsPerOp * iops.median / 1e7),
            "read": idle, "write": idle, "trim": idle,
            // Shares of completions by time, which readers expect to be there, and percentiles tell better.
            "latency_ns": [:], "latency_us": [:], "latency_ms": [:],
        ]
        // Of a mixed pattern reads and writes were not told apart: fio's unified_rw_reporting.
        job[rw.isMixed ? "mixed" : rw.writes ? "write" : "read"] = busy
        if rw.isMixed {
            job["read"] = nil
            job["write"] = nil
            job["trim"] = nil
        }
        return .object(job)
    }

    /// How long the path was measured, in all rounds together.
    private var seconds: Double { Double(clatNs.n) / max(iops.median, 1) }

    private static func fioDirection(_ run: BlockRun?) -> JSONValue {
        let count = Int(run?.clatNs.n ?? 0)
        let byteCount = count * (run?.blockBytes ?? 0)
        let iops = run?.iops.median ?? 0
        let bandwidth = run?.bwBytes ?? 0
        let rates = run?.iopsOfRounds ?? []
        let mean = rates.isEmpty ? 0 : rates.reduce(0, +) / Double(rates.count)
        let variance =
            rates.isEmpty
            ? 0 : rates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rates.count)
        return [
            "io_bytes": .integer(byteCount), "io_kbytes": .integer(byteCount >> 10),
            "bw_bytes": .integer(Int(bandwidth)), "bw": .integer(Int(bandwidth) >> 10),
            "iops": .number(iops), "runtime": .integer(Int((run?.seconds ?? 0) * 1000)),
            "total_ios": .integer(count), "short_ios": 0, "drop_ios": 0,
            "clat_ns": fioLatency(run?.clatNs), "lat_ns": fioLatency(run?.clatNs),
            "iops_min": .number(rates.min() ?? 0), "iops_max": .number(rates.max() ?? 0),
            "iops_mean": .number(mean), "iops_stddev": .number(variance.squareRoot()),
            "iops_samples": .integer(rates.count),
        ]
    }

    private static func fioLatency(_ latency: Latency?) -> JSONValue {
        var values: [String: JSONValue] = [
            "min": .integer(Int(latency?.min ?? 0)), "max": .integer(Int(latency?.max ?? 0)),
            "mean": .number(latency?.mean ?? 0), "stddev": .number(latency?.stddev ?? 0),
            "N": .integer(Int(latency?.n ?? 0)),
        ]
        if let latency {
            values["percentile"] = .object(latency.percentile.mapValues { .integer(Int($0)) })
        }
        return .object(values)
    }
}
