import Foundation
import Testing

@testable import perfbench

/// `perfbench pool` as its users run it.
@Suite struct PoolCommandTests {
    static func pool(_ arguments: String...) throws -> CommandLineTests.Outcome {
        try CommandLineTests.run(
            [CommandLineTests.executable, "pool", "--churn-operations", "2000"] + arguments
                + CommandLineTests.quick)
    }

    private static func report(_ arguments: String...) throws -> [String: Any] {
        let outcome = try CommandLineTests.run(
            [CommandLineTests.executable, "pool", "--churn-operations", "2000", "--format", "json"]
                + arguments + CommandLineTests.quick)
        try #require(outcome.status == 0, "said: \(outcome.complaint)")
        return try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    }

    @Test func `every operation is measured on every path that means something for it`() throws {
        let outcome = try Self.pool("--size", "512,4k", "--live", "4", "--threads", "1,2")
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        let operations = ["map-unmap", "map-copy-in-unmap", "map-unmap-copy-out", "churn"]
        for operation in operations { #expect(outcome.output.contains(operation)) }
        for path in ["pool ×2", "c-twin ×2", "linux-model ×2", "memcpy ×2", "loop ×2"] {
            #expect(outcome.output.contains(path))
        }
    }

    @Test func `the JSON of mappings of one size has the documented shape`() throws {
        let report = try Self.report(
            "--size", "4k", "--live", "4", "--threads", "1,2", "--occupancy", "50", "--op",
            "map-unmap,map-copy-in-unmap")
        #expect(report["schema"] as? String == "perfbench/1")
        let runs = try #require(report["runs"] as? [[String: Any]])
        for run in runs {
            #expect(run["workload"] as? String == "pool")
            #expect(run["bytes"] as? Int == 4096)
            #expect(run["occupancy"] as? Double == 0.5)
            #expect(run["refusals"] as? Int == 0)
            let cost = try #require(run["ns_per_op"] as? [String: Double])
            let (low, median) = try (#require(cost["low"]), #require(cost["median"]))
            let high = try #require(cost["high"])
            #expect(low > 0 && low <= median && median <= high)
        }
        let names = runs.filter { $0["op"] as? String == "map-unmap" }.map {
            "\($0["path"] ?? "")×\($0["threads"] ?? 0)"
        }
        #expect(
            names == [
                "pool×1", "pool×2", "c-twin×1", "c-twin×2", "linux-model×1", "linux-model×2",
                "loop×1", "loop×2",
            ])
        let ratios = try #require(report["ratios"] as? [[String: Any]])
        for (metric, base, threads) in [
            ("ns_per_op", "c-twin", 1), ("ns_per_op", "linux-model", 2), ("scaling", "pool", 2),
            ("scaling_cpu", "pool", 2), ("ns_per_op", "memcpy", 1), ("throughput", "c-twin", 2),
        ] {
            #expect(
                ratios.contains {
                    $0["metric"] as? String == metric && $0["of"] as? String == "pool"
                        && $0["to"] as? String == base && $0["threads"] as? Int == threads
                        && $0["occupancy"] as? Double == 0.5 && $0["block_bytes"] as? Int == 4096
                }, "\(metric) to \(base) ×\(threads)")
        }
    }

    @Test func `a churn says how long a map takes, and how many were refused`() throws {
        let report = try Self.report("--op", "churn", "--occupancy", "0,80", "--threads", "1,2")
        let runs = try #require(report["runs"] as? [[String: Any]])
        #expect(runs.count == 6)
        // Nothing is churned at 0 %.
        #expect(runs.allSatisfy { $0["occupancy"] as? Double == 0.8 })
        for run in runs {
            let latency = try #require(run["map_latency_ns"] as? [String: Any])
            #expect((latency["percentile"] as? [String: Double])?["99.900000"] ?? 0 > 0)
            #expect(run["clock_ns"] is Int)
            #expect(run["refused_share"] is Double)
            #expect(run["maps"] as? Int ?? 0 > 100)
        }
    }

    @Test(arguments: [
        (["--threads", "0"], "--threads 0"), (["--threads", "65"], "--threads 65"),
        (["--occupancy", "100"], "--occupancy 100"), (["--size", "512k"], "--size 512k"),
        (["--live", "0"], "--live"), (["--path", "bounce"], "bounce"),
        (["--churn-operations", "-1"], "--churn-operations"),
        (["--live", "16", "--size", "256k"], "--window 1m is too small"),
        (["--op", "churn", "--occupancy", "0"], "use --occupancy"),
        (["--op", "churn", "--path", "memcpy"], "use --path"),
        (["--op", "churn,map-copy-in-unmap", "--path", "loop"], "use --path"),
        (["--threads", "32", "--size", "4k", "--live", "1"], "--window 1m is too small"),
    ])
    func `what cannot be is refused with status 64`(options: [String], part: String) throws {
        let outcome = try CommandLineTests.run(
            [CommandLineTests.executable, "pool"] + CommandLineTests.quick + options)
        #expect(outcome.status == 64)
        #expect(outcome.complaint.contains(part), "said: \(outcome.complaint)")
        #expect(outcome.output.isEmpty)
    }

    @Test func `an interrupted run prints whole rounds, status 130`() throws {
        // Foundation starts processes with signals blocked, which no shell does.
        let unblock = "sigprocmask(SIG_SETMASK, POSIX::SigSet->new); exec @ARGV"
        let (process, output, complaint) = try CommandLineTests.start([
            "perl", "-MPOSIX", "-e", unblock, "--", CommandLineTests.executable, "pool",
            "--allow-debug", "--op", "map-unmap,churn", "--size", "4k", "--occupancy", "50",
            "--live", "4", "--rounds", "10000", "--guest-memory", "4m", "--window", "1m",
            "--threads", "1,2", "--format", "json",
        ])
        // Under way once it catches SIGINT.
        while process.isRunning, !Self.catchesInterrupts(process.processIdentifier) {
            usleep(1000)
        }
        kill(process.processIdentifier, SIGINT)
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let error = complaint.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        #expect(String(decoding: error, as: UTF8.self) == "perfbench: interrupted\n")
        let report = try #require(
            try JSONSerialization.jsonObject(with: text) as? [String: Any])
        #expect(report["interrupted"] as? Bool == true)
    }

    private static func catchesInterrupts(_ process: Int32) -> Bool {
        let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }
        let mask = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" }, radix: 16) }
        return (mask ?? 0) >> UInt64(SIGINT - 1) & 1 == 1
    }
}
