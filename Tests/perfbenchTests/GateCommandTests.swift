import CommandSupport
import Foundation
import SystemPackage
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
        #expect(outcome.status == 69, "said: \(outcome.complaint)")
        #expect(outcome.complaint == "perfbench: nothing could be compared\n")
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
            (
                ["ab", "--a", "x", "--b", "y", "--runs", "14", "--allow-debug"], 64,
                "--runs must be"
            ),
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

    @Test func `compare says of too few rounds, and of other settings, that they are`() throws {
        let scratch = try CommandLineTests.Scratch()
        let before = try Self.results(scratch, "a.json", [1, 1.1, 1.2, 1.3])
        let after = try Self.results(scratch, "b.json", [3, 3.1, 3.2, 3.3])
        let other = try String(contentsOfFile: after, encoding: .utf8)
            .replacingOccurrences(
                of: "\"window_bytes\" : 1048576", with: "\"window_bytes\" : 2097152")
        try other.write(toFile: after, atomically: true, encoding: .utf8)
        let outcome = try Self.perfbench(["compare", before, after])
        #expect(outcome.status == 69)
        #expect(outcome.output.contains("4 and 4 rounds are too few for p < 0.01"))
        #expect(
            outcome.output.contains(
                "not of the same window: 1m in base pages before, 2m in base pages after"))
        #expect(!outcome.output.contains("twice over"))
    }

    @Test func `where the results cannot be put is looked at before anything is measured`() throws {
        let scratch = try CommandLineTests.Scratch()
        let log = scratch.path + "/ran"
        let build = try Self.build(scratch, "build", "touch '\(log)'; exit 74")
        let outcome = try Self.perfbench([
            "ab", "--a", build, "--b", build, "--allow-debug", "--output", "/nonexistent/x",
        ])
        #expect(outcome.status == 73)
        #expect(!FileManager.default.fileExists(atPath: log))
        let saved = try Self.perfbench([
            "baseline", "save", "/proc/none/x.json", "--allow-debug",
        ])
        #expect(saved.status == 73)
        #expect(saved.complaint.contains("no file can be made in /proc/none"))
    }

    /// A program that stands for a build.
    private static func build(
        _ scratch: CommandLineTests.Scratch, _ name: String, _ script: String
    ) throws -> String {
        let path = scratch.path + "/" + name
        // By another process: a program that anybody has open for writing, such as the child of a test
        // beside this one, cannot be started.
        let made = try CommandLineTests.run([
            "sh", "-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$2\" && chmod +x \"$2\"", "sh",
            script, path,
        ])
        #expect(made.status == 0, "said: \(made.complaint)")
        return path
    }

    /// A build whose results are known, so that nothing depends on time. Every run counts in `count`.
    private static func build(
        _ scratch: CommandLineTests.Scratch, _ name: String, median: String, _ results: String,
        last: String = ""
    ) throws -> String {
        try build(
            scratch, name,
            """
            while [ $# -gt 1 ]; do [ "$1" = --output ] && output=$2; shift; done
            echo >>'\(scratch.path)/count'
            count=$(wc -l <'\(scratch.path)/count')
            \(last)
            sed 's/"median" : .*,/"median" : \(median),/' '\(results)' >"$output"
            """)
    }

    // What a build of another version says to commands it does not know.
    @Test func `a part that a build does not have ends it, with what to type, status 69`() throws {
        let scratch = try CommandLineTests.Scratch()
        let build = try Self.build(
            scratch, "perfbench", "echo 'Error: Unknown option --size' >&2; echo Usage; exit 64")
        let outcome = try Self.perfbench([
            "ab", "--a", build, "--b", build, "--parts", "pool", "--allow-debug",
        ])
        #expect(outcome.status == 69, "said: \(outcome.complaint)")
        #expect(outcome.output.contains("Nothing was compared"))
        #expect(
            outcome.complaint.contains(
                "ended with status 64, pool: Unknown option --size; or leave that part out: "
                    + "--parts net,block,instructions"))
    }

    @Test(arguments: [("1.0", 0), ("1.3", 2), ("0.7", 4)] as [(String, Int32)])
    func `two builds that differ are told apart`(factor: String, status: Int32) throws {
        let scratch = try CommandLineTests.Scratch()
        let results = try Self.results(scratch, "results.json", Self.values)
        let outcome = try Self.perfbench([
            "ab", "--a", try Self.build(scratch, "a", median: "1.0", results),
            "--b", try Self.build(scratch, "b", median: factor, results), "--parts", "pool",
            "--allow-debug",
        ])
        #expect(outcome.status == status, "said: \(outcome.complaint)")
        #expect(outcome.output.contains("signed-rank test of 16 pairs") == (status != 0))
        #expect(outcome.output.contains("; again ") == (status != 0))
    }

    // The first session has 32 runs; it ends in the retest.
    @Test func `a change whose retest fails is no change, and not forgotten`() throws {
        let scratch = try CommandLineTests.Scratch()
        let results = try Self.results(scratch, "results.json", Self.values)
        let last = "[ $count -le 40 ] || exit 69"
        let outcome = try Self.perfbench([
            "ab", "--a", try Self.build(scratch, "a", median: "1.0", results, last: last),
            "--b", try Self.build(scratch, "b", median: "3.0", results, last: last), "--parts",
            "pool", "--allow-debug",
        ])
        #expect(outcome.status == 69)
        #expect(outcome.output.contains("suspect, not measured again"))
        #expect(outcome.output.contains("Ended early"))
    }

    @Test func `a build that is killed ends the comparison, and what there is is kept`() throws {
        let scratch = try CommandLineTests.Scratch()
        let results = try Self.results(scratch, "results.json", Self.values)
        let last = "[ $count -le 20 ] || kill -9 $$"
        let build = try Self.build(scratch, "a", median: "1.0", results, last: last)
        let outcome = try Self.perfbench([
            "ab", "--a", build, "--b", build, "--parts", "pool", "--allow-debug",
        ])
        #expect(outcome.status == 74)
        #expect(outcome.complaint == "perfbench: pool was killed (signal 9)\n")
        #expect(outcome.output.contains("pool map-unmap 4k"))
        #expect(outcome.output.contains("Ended early, pool was killed (signal 9)"))
    }

    @Test func `an interrupted comparison prints what it has, status 130`() throws {
        // The build sends the signal: the comparison is under way then.
        let scratch = try CommandLineTests.Scratch()
        let results = try Self.results(scratch, "results.json", Self.values)
        let last = "[ $count -le 20 ] || kill -INT $PPID"
        let build = try Self.build(scratch, "a", median: "1.0", results, last: last)
        let outcome = try CommandLineTests.run(
            CommandLineTests.unblocked + [
                CommandLineTests.executable, "ab", "--a", build, "--b", build, "--parts", "pool",
                "--allow-debug", "--format", "json",
            ])
        #expect(outcome.status == 130)
        #expect(outcome.complaint == "perfbench: interrupted\n")
        #expect(outcome.output.contains("\"interrupted\" : true"))
        #expect(outcome.output.contains("\"metric\" : \"pool map-unmap 4k"))
    }

    /// A baseline of a build whose results are known.
    private static func baseline(
        _ scratch: CommandLineTests.Scratch, _ results: String, sessions: Int,
        last: String = "", at path: FilePath
    ) throws -> Baseline {
        let build = try Build(
            build(scratch, "old", median: "1.0", results, last: last), try TemporaryDirectory())
        var saved = Baseline(machine: MachineFacts(), sessions: [])
        try BaselineCommand.Save.add(
            sessions, of: build, [.pool], runCount: 15, to: &saved, at: path)
        return saved
    }

    @Test(arguments: [("1.0", 0), ("1.3", 2), ("0.7", 4), ("1.1", 0)] as [(String, Int32)])
    func `a build is told from a baseline of another`(median: String, status: Int32) throws {
        let scratch = try CommandLineTests.Scratch()
        let results = try Self.results(scratch, "results.json", Self.values)
        let path = FilePath(scratch.path + "/baseline.json")
        let written = try Self.baseline(scratch, results, sessions: 3, at: path)
        let saved = try Baseline(contentsOf: path)
        #expect(saved.sessions.count == 3 && written.sessions.count == 3)
        let build = try Build(
            Self.build(scratch, "new", median: median, results), try TemporaryDirectory())
        let (report, failure) = try CheckCommand.compare(
            build, "it", with: saved, from: "file", [.pool], runCount: 15)
        #expect(failure == nil)
        #expect(report.findings.count == 1)
        #expect(report.table.contains("are of one hour"))
        do {
            try report.end(failure)
            #expect(status == 0)
        } catch {
            #expect(error.status.rawValue == status)
            #expect(report.table.contains("prediction from 3 sessions, 15 runs now"))
        }
    }

    @Test func `a baseline that was cut short replaces none, until checks can use it`() throws {
        let scratch = try CommandLineTests.Scratch()
        let results = try Self.results(scratch, "results.json", Self.values)
        let path = FilePath(scratch.path + "/baseline.json")
        try "old".write(toFile: path.string, atomically: true, encoding: .utf8)
        let second = "[ $count -le 30 ] || exit 74"
        #expect(throws: CommandFailure.self) {
            try Self.baseline(scratch, results, sessions: 5, last: second, at: path)
        }
        #expect(try String(contentsOfFile: path.string, encoding: .utf8) == "old")
        let fourth = "[ $count -le 80 ] || exit 74"
        #expect(throws: CommandFailure.self) {
            try Self.baseline(scratch, results, sessions: 5, last: fourth, at: path)
        }
        #expect(try Baseline(contentsOf: path).sessions.count == 3)
    }
}
