import Foundation
import Testing

@testable import perfbench

/// perfbench as its users run it: the executable, its exit status, and what it says.
@Suite struct CommandLineTests {
    struct Outcome {
        var status: Int32
        var output: String
        var complaint: String
    }

    /// The executable that the build put beside this test.
    static let executable =
        Bundle.main.executableURL?.deletingLastPathComponent()
        .appendingPathComponent("perfbench").path ?? ""

    static let quick = [
        "--allow-debug", "--rounds", "1", "--round-seconds", "0.01", "--guest-memory", "4m",
        "--window", "1m",
    ]

    /// Runs the command behind it with no signal blocked: Foundation starts processes with signals blocked,
    /// which no shell does.
    static let unblocked = [
        "perl", "-MPOSIX", "-e", "sigprocmask(SIG_SETMASK, POSIX::SigSet->new); exec @ARGV", "--",
    ]

    static func start(_ command: [String]) throws -> (Process, Pipe, Pipe) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let (output, complaint) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = complaint
        try process.run()
        return (process, output, complaint)
    }

    static func run(_ command: [String]) throws -> Outcome {
        let (process, output, complaint) = try start(command)
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let error = complaint.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationReason == .exit ? process.terminationStatus : -1,
            output: String(decoding: text, as: UTF8.self),
            complaint: String(decoding: error, as: UTF8.self))
    }

    static func perfbench(_ arguments: String...) throws -> Outcome {
        try run([executable] + arguments + quick)
    }

    /// A directory that goes with the test.
    final class Scratch {
        let path: String

        init() throws {
            path = NSTemporaryDirectory() + "perfbench-test-" + UUID().uuidString
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func file(_ name: String, byteCount: Int) -> String {
            let file = path + "/" + name
            _ = FileManager.default.createFile(
                atPath: file, contents: Data(repeating: 0x5A, count: byteCount))
            return file
        }

        /// Leaves a file so many bytes.
        func cut(_ file: String, to byteCount: UInt64) throws {
            let handle = try #require(FileHandle(forWritingAtPath: file))
            try handle.truncate(atOffset: byteCount)
            try handle.close()
        }
    }

    private func expectSentence(_ outcome: Outcome, _ status: Int32, _ part: String) {
        #expect(outcome.status == status)
        #expect(outcome.complaint.contains(part), "said: \(outcome.complaint)")
        #expect(!outcome.complaint.contains("Fatal error"))
        #expect(outcome.output.isEmpty)
    }

    @Test func `a file that does not exist is named, status 66`() throws {
        let outcome = try Self.perfbench("block", "--file", "/nonexistent/file")
        expectSentence(outcome, 66, "/nonexistent/file does not exist")
    }

    @Test func `a directory is refused, status 66`() throws {
        expectSentence(try Self.perfbench("block", "--file", "/tmp"), 66, "is a directory")
    }

    @Test func `a character device is refused, status 66`() throws {
        expectSentence(
            try Self.perfbench("block", "--file", "/dev/null"), 66, "neither a regular file")
    }

    @Test func `a file smaller than a block is refused, status 66`() throws {
        let scratch = try Scratch()
        let file = scratch.file("small", byteCount: 4096)
        expectSentence(
            try Self.perfbench("block", "--file", file, "--block-size", "64k", "--depth", "1"), 66,
            "less than one block")
    }

    @Test func `a block size that is no multiple of 512 is refused, status 64`() throws {
        expectSentence(
            try Self.perfbench("block", "--block-size", "4k,1000"), 64, "no multiple of 512")
    }

    @Test(arguments: [
        (["blok"], "perfbench block|net|pool|"),
        (["block", "--window", "1.5m"], "such as 64m"),
        (["block", "--block-size", "4x"], "such as 4k"),
        (["pool", "--size", "4x"], "such as 4k"),
        (["net", "--frame-size", "x"], "such as 64"),
        (["block", "--packed"], "--packed is of use with --via virtqueue or vhost-user only"),
        (
            ["block", "--via", "vhost-user", "--socket", "/tmp/none", "--buffered"],
            "--buffered is of no use with --socket"
        ),
    ])
    func `what is wrong is told with what to type, status 64`(
        arguments: [String], part: String
    ) throws {
        expectSentence(try Self.run([Self.executable] + arguments), 64, part)
    }

    @Test func `a file that is cut short ends the run, and results of its rounds stay`() throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 1 << 20)
        let results = scratch.path + "/results.json"
        let (process, _, complaint) = try Self.start([
            Self.executable, "block", "--file", file, "--buffered", "--block-size", "4k", "--depth",
            "2", "--path", "direct,bounce", "--allow-debug", "--rounds", "200",
            "--round-seconds", "0.01", "--guest-memory", "4m", "--window", "1m", "--format", "json",
            "--output", results,
        ])
        usleep(700_000)
        try scratch.cut(file, to: 0)
        let error = complaint.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 74)
        #expect(String(decoding: error, as: UTF8.self).contains("the file was cut short"))
        let report = try #require(
            try JSONSerialization.jsonObject(
                with: Data(contentsOf: URL(fileURLWithPath: results))) as? [String: Any])
        #expect((report["failure"] as? String)?.contains("the file was cut short") == true)
    }

    @Test func `a window smaller than one request is refused, status 64`() throws {
        let outcome = try Self.run([
            Self.executable, "block", "--block-size", "512k", "--window", "256k", "--allow-debug",
        ])
        expectSentence(outcome, 64, "--window 256k is smaller than one request")
    }

    @Test func `writing to a file that exists wants --overwrite, and its contents stay`() throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 1 << 20)
        let before = FileManager.default.contents(atPath: file)
        expectSentence(
            try Self.perfbench("block", "--file", file, "--rw", "randwrite"), 64, "--overwrite")
        expectSentence(try Self.perfbench("block", "--file", file, "--verify"), 64, "--overwrite")
        #expect(FileManager.default.contents(atPath: file) == before)
    }

    @Test func `an output file that cannot be created is named, status 73`() throws {
        expectSentence(
            try Self.perfbench("pool", "--live", "2", "--output", "/nonexistent/out"), 73,
            "/nonexistent/out")
    }

    @Test func `results are not written over the file that is measured`() throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 1 << 20)
        let link = scratch.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
        for output in [file, link] {
            let outcome = try Self.perfbench("block", "--file", file, "--output", output)
            expectSentence(outcome, 64, "is the same file as")
        }
        #expect(FileManager.default.contents(atPath: file)?.count == 1 << 20)
    }

    @Test func `an output file keeps its contents where nothing is measured`() throws {
        let scratch = try Scratch()
        let output = scratch.file("results", byteCount: 100)
        expectSentence(
            try Self.perfbench("block", "--file", "/nonexistent", "--output", output), 66,
            "does not exist")
        #expect(FileManager.default.contents(atPath: output)?.count == 100)
    }

    @Test func `more memory than the system has is refused, status 69`() throws {
        let outcome = try Self.run([
            Self.executable, "block", "--window", "1024g", "--allow-debug",
        ])
        expectSentence(outcome, 69, "use smaller --guest-memory and --window")
    }

    // Requests then complete as they are handed over, and the loop has to look at the time by itself.
    @Test func `a run over a warm page cache ends`() throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 4 << 20)
        let outcome = try Self.perfbench(
            "block", "--file", file, "--buffered", "--block-size", "4k,64k", "--depth", "8")
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
    }

    @Test func `a debug build refuses to measure`() throws {
        let outcome = try Self.run(
            [
                Self.executable, "pool", "--rounds", "2", "--round-seconds", "0.01",
                "--churn-operations", "10000",
            ])
        #if DEBUG
        expectSentence(outcome, 64, "--allow-debug")
        #else
        #expect(outcome.status == 0)
        #endif
    }

    @Test func `a read run opens a file for reading only and leaves it as it was`() throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 1 << 20)
        let before = FileManager.default.contents(atPath: file)
        let outcome = try Self.perfbench(
            "block", "--file", file, "--buffered", "--block-size", "4k", "--depth", "2",
            "--format", "json")
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        #expect(FileManager.default.contents(atPath: file) == before)
    }

    @Test func `the JSON has the documented shape`() throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 1 << 20)
        let outcome = try Self.perfbench(
            "block", "--file", file, "--buffered", "--block-size", "4k", "--depth", "2",
            "--format", "json")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        #expect(report["schema"] as? String == "perfbench/1")
        let host = try #require(report["host"] as? [String: Any])
        #expect(host["ring_flags"] is [String])
        #expect(host["fixed_buffers"] is Bool)
        #expect(host["memlock_bytes"] is Int)
        let runs = try #require(report["runs"] as? [[String: Any]])
        #expect(
            runs.compactMap { $0["path"] as? String }
                == ["direct", "direct-fixed", "bounce", "bounce-unregistered"])
        for run in runs {
            let bounces = (run["path"] as? String)?.hasPrefix("bounce") ?? false
            #expect(run["block_bytes"] as? Int == 4096)
            #expect((run["iops"] as? [String: Double])?["median"] ?? 0 > 0)
            #expect(run["copied_bytes_per_op"] as? Double == (bounces ? 4096 : 0))
            let latency = try #require(run["clat_ns"] as? [String: Any])
            #expect((latency["percentile"] as? [String: Double])?["50.000000"] ?? 0 > 0)
            #expect(run["errors"] as? Int == 0)
        }
        let ratios = try #require(report["ratios"] as? [[String: Any]])
        #expect(
            ratios.contains {
                $0["metric"] as? String == "iops" && $0["of"] as? String == "bounce"
                    && $0["to"] as? String == "direct"
            })
        let floors = try #require(report["floors"] as? [[String: Any]])
        #expect(floors.first?["memcpy_ns"] as? Double ?? 0 > 0)
    }

    @Test(arguments: ["read", "write", "randread", "randwrite", "randrw"])
    func `every pattern runs and verifies`(pattern: String) throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 4 << 20)
        let outcome = try Self.perfbench(
            "block", "--file", file, "--buffered", "--rw", pattern, "--overwrite", "--verify",
            "--block-size", "512,4k,1m", "--depth", "1,2")
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        #expect(outcome.output.contains("bounce-unregistered"))
    }

    @Test func `a pool too small for the depth holds requests back and says so`() throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 1 << 20)
        let outcome = try Self.run([
            Self.executable, "block", "--file", file, "--buffered", "--block-size", "64k",
            "--depth", "16", "--path", "bounce", "--guest-memory", "4m", "--window", "256k",
            "--rounds", "1", "--round-seconds", "0.01", "--allow-debug", "--format", "json",
        ])
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        let run = try #require((report["runs"] as? [[String: Any]])?.first)
        #expect(run["pool_full"] as? Int ?? 0 > 0)
        #expect(run["errors"] as? Int == 0)
    }

    @Test(.enabled(if: getuid() == 0, "mounts a file system"))
    func `a disk that fills up ends the run with one sentence, status 74`() throws {
        let scratch = try Scratch()
        #expect(
            try Self.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", scratch.path]).status
                == 0)
        defer { _ = try? Self.run(["umount", scratch.path]) }
        // Sparse: larger than the file system has room for.
        let file = scratch.file("sparse", byteCount: 0)
        let handle = try #require(FileHandle(forWritingAtPath: file))
        try handle.truncate(atOffset: 64 << 20)
        let outcome = try Self.perfbench(
            "block", "--file", file, "--rw", "write", "--overwrite", "--buffered",
            "--block-size", "64k", "--depth", "4")
        #expect(outcome.status == 74)
        #expect(
            outcome.complaint
                == "perfbench: the disk is full; make room, or use a --file elsewhere\n")
    }

    @Test(.enabled(if: getuid() == 0, "mounts a file system"))
    func `results that a full disk has no room for are printed, status 74`() throws {
        let scratch = try Scratch()
        #expect(
            try Self.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", scratch.path]).status
                == 0)
        defer { _ = try? Self.run(["umount", scratch.path]) }
        _ = scratch.file("filler", byteCount: 4096)
        let output = scratch.path + "/results.json"
        let outcome = try Self.perfbench(
            "pool", "--op", "map-unmap", "--size", "4k", "--live", "2", "--format", "json",
            "--output", output)
        #expect(outcome.status == 74)
        #expect(outcome.complaint.contains("No space left on device"))
        #expect(outcome.complaint.contains("they are on standard output instead"))
        #expect(outcome.output.contains("\"schema\" : \"perfbench/1\""))
        #expect(FileManager.default.contents(atPath: output)?.isEmpty == true)
    }

    @Test(.enabled(if: getuid() == 0, "becomes another user"))
    func `without locked memory it falls back, says so once, and the report shows it`() throws {
        let scratch = try Scratch()
        let file = scratch.file("data", byteCount: 1 << 20)
        for (path, mode) in [(scratch.path, 0o755), (file, 0o644)] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }
        let outcome = try Self.run(
            ["prlimit", "--memlock=65536", "setpriv", "--reuid=65534", "--clear-groups"]
                + [Self.executable, "block", "--file", file, "--buffered", "--block-size", "4k"]
                + ["--depth", "2", "--format", "json"] + Self.quick)
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        let notices = outcome.complaint.split(separator: "\n").filter {
            $0.contains("could not be registered")
        }
        #expect(notices.count == 1, "said: \(outcome.complaint)")
        #expect(outcome.output.contains("\"fixed_buffers\" : false"))
    }

    @Test func `an interrupted run prints what it has, leaves no file, status 130`() throws {
        let (process, output, complaint) = try Self.start(
            Self.unblocked + [
                Self.executable, "block", "--allow-debug", "--rounds", "1000", "--block-size", "4k",
                "--depth", "1", "--format", "json", "--path", "bounce", "--buffered",
                "--guest-memory", "4m", "--window", "1m", "--round-seconds", "0.01",
            ])
        // Under way once the temporary file is open; SIGINT may come before or after its filling.
        let descriptors = "/proc/\(process.processIdentifier)/fd"
        var isOpen = false
        while !isOpen, process.isRunning {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: descriptors)) ?? []
            isOpen = names.contains {
                let target = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: descriptors + "/" + $0)
                return target?.contains("perfbench-\(process.processIdentifier).tmp") ?? false
            }
            sched_yield()
        }
        kill(process.processIdentifier, SIGINT)
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let error = complaint.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 130)
        #expect(String(decoding: error, as: UTF8.self) == "perfbench: interrupted\n")
        if !text.isEmpty {
            #expect(String(decoding: text, as: UTF8.self).contains("\"interrupted\" : true"))
        }
        let directory = try #require(ScratchFile.directory())
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(directory)")
        #expect(!names.contains { $0.hasPrefix("perfbench-\(process.processIdentifier)") })
    }
}
