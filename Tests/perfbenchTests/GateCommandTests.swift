import Foundation
import Testing

@testable import perfbench

/// `perfbench ab`, `check`, `compare` and `baseline` as their users run them.
@Suite struct GateCommandTests {
    private static func perfbench(_ arguments: [String]) throws -> CommandLineTests.Outcome {
        try CommandLineTests.run([CommandLineTests.executable] + arguments)
    }

    /// A file of results whose ratio has these values.
    private static func results(
        _ scratch: CommandLineTests.Scratch, _ name: String, _ values: [Double],
        metric: String = "ns_per_op", interrupted: Bool = false
    ) throws -> String {
        let outcome = try CommandLineTests.run(
            [
                CommandLineTests.executable, "pool", "--op", "map-unmap", "--size", "4k",
                "--occupancy", "0", "--path", "pool,c-twin", "--format", "json",
            ] + CommandLineTests.quick)
        var report = try Report<PoolRun>(json: Data(outcome.output.utf8), from: name)
        let estimate = Estimate(values)
        report.ratios = [
            Ratio(
                workload: "pool", metric: metric, of: "pool", to: "c-twin", op: .mapUnmap,
                blockBytes: 4096, median: estimate.median, low: estimate.low, high: estimate.high,
                ofRounds: values)
        ]
        report.interrupted = interrupted
        let path = scratch.path + "/" + name
        try report.json().write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private static let values = (0..<12).map { 1 + 0.01 * Double($0 % 4) }

    @Test(
        arguments: [
            (1.0, "ns_per_op", 0), (1.5, "ns_per_op", 2), (0.5, "ns_per_op", 4),
            (0.5, "throughput", 2), (1.5, "throughput", 4),
        ] as [(Double, String, Int32)])
    func `compare says which way something went, in its status too`(
        factor: Double, metric: String, status: Int32
    ) throws {
        let scratch = try CommandLineTests.Scratch()
        let before = try Self.results(scratch, "a.json", Self.values, metric: metric)
        let after = try Self.results(
            scratch, "b.json", Self.values.map { $0 * factor }, metric: metric)
        let outcome = try Self.perfbench(["compare", before, after])
        #expect(outcome.status == status, "said: \(outcome.complaint)")
        #expect(outcome.output.contains("no retest is possible"))
        #expect(outcome.output.contains("rank-sum test") == (status != 0))
    }

    @Test func `compare says what it does not compare`() throws {
        let scratch = try CommandLineTests.Scratch()
        let before = try Self.results(scratch, "a.json", Self.values)
        let after = try Self.results(
            scratch, "b.json", Self.values, metric: "throughput", interrupted: true)
        let outcome = try Self.perfbench(["compare", before, after, "--format", "json"])
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        #expect(report["schema"] as? String == "perfbench-gate/1")
        #expect(
            Set((report["not_compared"] as? [String: String] ?? [:]).values)
                == ["only in the first file", "only in the second file"])
        #expect((report["notes"] as? [String])?.contains { $0.contains("ended early") } == true)
    }

    @Test(
        arguments: [
            (["compare", "/nonexistent/a", "/nonexistent/b"], 66, "/nonexistent/a cannot be read"),
            (
                ["compare", "/etc/passwd", "/etc/passwd"], 65,
                "/etc/passwd is no result of perfbench"
            ),
            (
                ["check", "--baseline", "/nonexistent/b.json", "--allow-debug"], 66,
                "perfbench baseline save /nonexistent/b.json"
            ),
            (
                ["check", "--baseline", "/etc/passwd", "--allow-debug"], 65,
                "is no baseline, or damaged"
            ),
            (["ab", "--a", "/nonexistent", "--b", "/usr", "--allow-debug"], 66, "does not exist"),
            (
                ["ab", "--a", "/usr", "--b", "/usr", "--allow-debug"], 66,
                "run 'swift build -c release --product perfbench' there"
            ),
            (["ab", "--a", "/etc/passwd", "--b", "/usr", "--allow-debug"], 66, "is no program"),
            (["ab", "--a", "x", "--b", "y", "--runs", "9", "--allow-debug"], 64, "--runs must be"),
            (["ab", "--a", "x", "--b", "y", "--parts", "disk", "--allow-debug"], 64, "disk"),
            (
                ["baseline", "save", "x", "--sessions", "0", "--allow-debug"], 64,
                "--sessions must be"
            ),
            (
                ["baseline", "save", "/nonexistent/x.json", "--append", "--allow-debug"], 66,
                "cannot be read"
            ),
            (["probe", "nothing"], 64, "nothing"),
            (["probe", "sync", "--count", "0"], 64, "--count"),
        ] as [([String], Int32, String)])
    func `what cannot be is refused in a sentence`(
        arguments: [String], status: Int32, part: String
    ) throws {
        let outcome = try Self.perfbench(arguments)
        #expect(outcome.status == status)
        #expect(outcome.complaint.contains(part), "said: \(outcome.complaint)")
        #expect(outcome.output.isEmpty)
    }

    // What a build of another version says to commands it does not know.
    @Test func `a part that a build does not have is left out, and named`() throws {
        let scratch = try CommandLineTests.Scratch()
        let path = scratch.file("perfbench", byteCount: 0)
        try "#!/bin/sh\nexit 64\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        let outcome = try Self.perfbench([
            "ab", "--a", path, "--b", path, "--parts", "pool", "--allow-debug",
        ])
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        #expect(outcome.output.contains("Nothing was compared"))
        #expect(outcome.output.contains("Not compared: pool: \(path) does not know"))
    }

    // A build whose results are known, so that nothing depends on time.
    @Test(arguments: [("1.0", 0), ("1.3", 2), ("0.7", 4)] as [(String, Int32)])
    func `two builds that differ are told apart`(factor: String, status: Int32) throws {
        let scratch = try CommandLineTests.Scratch()
        let results = try Self.results(scratch, "results.json", Self.values)
        let builds = try [("a", "1.0"), ("b", factor)].map { name, value in
            let path = scratch.file(name, byteCount: 0)
            let script = """
                #!/bin/sh
                while [ $# -gt 1 ]; do [ "$1" = --output ] && output=$2; shift; done
                sed 's/"median" : .*,/"median" : \(value),/' '\(results)' >"$output"

                """
            try script.write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: path)
            return path
        }
        let outcome = try Self.perfbench([
            "ab", "--a", builds[0], "--b", builds[1], "--parts", "pool", "--allow-debug",
        ])
        #expect(outcome.status == status, "said: \(outcome.complaint)")
        #expect(outcome.output.contains("signed-rank test of 12 pairs") == (status != 0))
        #expect(outcome.output.contains("; again ") == (status != 0))
    }

    @Test func `a build that is killed ends the comparison, and what there is is kept`() throws {
        let scratch = try CommandLineTests.Scratch()
        let path = scratch.file("perfbench", byteCount: 0)
        try "#!/bin/sh\nkill -9 $$\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        let outcome = try Self.perfbench([
            "ab", "--a", path, "--b", path, "--parts", "pool", "--allow-debug",
        ])
        #expect(outcome.status == 74)
        #expect(outcome.complaint == "perfbench: pool was killed (signal 9)\n")
        #expect(outcome.output.contains("Ended early, pool was killed (signal 9)"))
    }

    @Test func `an interrupted comparison prints what it has, status 130`() throws {
        // The build sends the signal: the comparison is under way then.
        let scratch = try CommandLineTests.Scratch()
        let path = scratch.file("perfbench", byteCount: 0)
        try "#!/bin/sh\nkill -INT $PPID\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        // Foundation starts processes with signals blocked, which no shell does.
        let unblock = "sigprocmask(SIG_SETMASK, POSIX::SigSet->new); exec @ARGV"
        let outcome = try CommandLineTests.run([
            "perl", "-MPOSIX", "-e", unblock, "--", CommandLineTests.executable, "ab", "--a", path,
            "--b", path, "--parts", "pool", "--allow-debug", "--format", "json",
        ])
        #expect(outcome.status == 130)
        #expect(outcome.complaint == "perfbench: interrupted\n")
        #expect(outcome.output.contains("\"interrupted\" : true"))
    }
}
