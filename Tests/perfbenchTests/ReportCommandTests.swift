import Foundation
import Testing

/// `perfbench report` as its users run it.
@Suite struct ReportCommandTests {
    private let scratch: CommandLineTests.Scratch

    init() throws { scratch = try CommandLineTests.Scratch() }

    static let hasGnuplot = (try? CommandLineTests.run(["gnuplot", "--version"]).status) == 0

    private func results(_ text: String) throws -> String {
        let path = scratch.path + "/results.json"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func report(_ arguments: [String]) throws -> CommandLineTests.Outcome {
        try CommandLineTests.run([CommandLineTests.executable, "report"] + arguments)
    }

    @Test(
        .enabled(if: hasGnuplot, "gnuplot is not installed"),
        arguments: [SampleReport.block(), SampleReport.net, SampleReport.pool])
    func `a page has its figures in it, and needs nothing beside it`(text: String) throws {
        let directory = scratch.path + "/page/new"
        let outcome = try report([try results(text), "--output", directory])
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        #expect(outcome.complaint.isEmpty)
        let page = try String(contentsOfFile: directory + "/index.html", encoding: .utf8)
        let files = try FileManager.default.contentsOfDirectory(atPath: directory)
        let figures = files.filter { $0.hasSuffix(".svg") }
        #expect(figures.count + 1 == files.count, "left behind: \(files)")
        #expect(page.components(separatedBy: "<svg").count == figures.count + 1)
        for figure in figures { #expect(page.contains("href=\"\(figure)\"")) }
        // Nothing is loaded: no scripts, no pictures, no styles from elsewhere.
        for reference in ["src=", "<script", "<link", "@import", "url("] {
            #expect(!page.contains(reference), "\(reference)")
        }
        #expect(page.contains("Z80 &lt;4 MHz&gt;"))
        #expect(page.contains("0123456789abcdef"))
        #expect(!page.contains("class=\"warning\""))
        // No two elements of a page have one id.
        let ids = page.matches(of: /\sid=['"]([^'"]+)['"]/).map(\.1)
        #expect(Set(ids).count == ids.count)
    }

    @Test(.enabled(if: hasGnuplot, "gnuplot is not installed"))
    func `a page says that results are not whole`() throws {
        let text = SampleReport.block(interrupted: true, failure: "the backend is gone")
        let outcome = try report([try results(text), "--output", scratch.path])
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        let page = try String(contentsOfFile: scratch.path + "/index.html", encoding: .utf8)
        #expect(page.contains("class=\"warning\""))
        #expect(page.contains("Interrupted:"))
        #expect(page.contains("Ended early, the backend is gone"))
    }

    @Test func `without gnuplot it says what to install, status 69`() throws {
        let outcome = try CommandLineTests.run([
            "PATH=/nonexistent", CommandLineTests.executable, "report",
            try results(SampleReport.block()), "--output", scratch.path + "/page",
        ])
        #expect(outcome.status == 69)
        #expect(outcome.complaint.contains("apt-get install gnuplot-nox"))
        #expect(outcome.complaint.split(separator: "\n").count == 1)
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/page"))
    }

    @Test func `without a directory or a format it says what to type, status 64`() throws {
        let outcome = try report([try results(SampleReport.block())])
        #expect(outcome.status == 64)
        #expect(outcome.complaint.contains("--output DIR"))
    }

    @Test func `a directory that cannot be made is named, status 73`() throws {
        let outcome = try report([
            try results(SampleReport.block()), "--output", "/dev/null/page",
        ])
        #expect(outcome.status == 73)
        #expect(outcome.complaint.contains("/dev/null/page"))
    }

    @Test func `a file that has no runs, or those of a stranger, is refused, status 65`() throws {
        let none = try report([try results(SampleReport.block([])), "--format", "csv"])
        #expect(none.status == 65)
        #expect(none.complaint.contains("nothing was measured"))
        let strange = SampleReport.net.replacingOccurrences(of: "\"net\"", with: "\"gpu\"")
        let outcome = try report([try results(strange), "--format", "csv"])
        #expect(outcome.status == 65)
        #expect(outcome.complaint.contains("results of gpu"))
    }

    @Test(arguments: [
        (#""via": "engine", "metric""#, #""via": "`id`", "metric""#),
        ("[0, 64, 2]", "[0]"), ("536870912", "18446744073709551615"),
        (#""block_bytes": 4096, "depth": 2, "rounds""#, #""block_bytes": 0, "depth": 2, "rounds""#),
        (#""max": 9000"#, #""max": 18446744073709551615"#),
        (#""bw_bytes": 4096000"#, #""bw_bytes": 1e300"#),
    ])
    func `a file that was damaged is refused, status 65`(old: String, new: String) throws {
        let text = SampleReport.block().replacingOccurrences(of: old, with: new)
        #expect(text != SampleReport.block())
        let file = try results(text)
        for arguments in [["--output", scratch.path + "/page"], ["--format", "fio"]] {
            let outcome = try report([file] + arguments)
            #expect(outcome.status == 65)
            #expect(outcome.complaint.contains("numbers that no measurement makes"))
        }
    }

    @Test(
        .enabled(if: hasGnuplot, "gnuplot is not installed"),
        arguments: ["`echo x`", "it's", "|touch x", "-d", "~"])
    func `a directory is a directory, whatever gnuplot makes of its name`(name: String) throws {
        let outcome = try CommandLineTests.run([
            "-C", scratch.path, CommandLineTests.executable, "report",
            try results(SampleReport.block()), "--output=\(name)",
        ])
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        let files = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
        #expect(Set(files) == ["results.json", name])
        let figures = try FileManager.default.contentsOfDirectory(atPath: scratch.path + "/\(name)")
        #expect(figures.contains("cpu-split.svg"))
    }

    @Test func `results are not written over those that are read, status 64`() throws {
        let file = try results(SampleReport.block())
        let link = scratch.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
        for output in [file, link] {
            let outcome = try report([file, "--format", "csv", "--output", output])
            #expect(outcome.status == 64)
            #expect(outcome.complaint.contains("is the same file as"))
        }
        #expect(try String(contentsOfFile: file, encoding: .utf8) == SampleReport.block())
    }

    @Test func `results are converted, to standard output and to a file`() throws {
        let file = try results(SampleReport.block())
        let printed = try report([file, "--format", "csv"])
        #expect(printed.status == 0)
        #expect(printed.output.hasPrefix("workload,via,path"))
        let path = scratch.path + "/out.csv"
        #expect(try report([file, "--format", "csv", "--output", path]).status == 0)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == printed.output)
    }

    @Test(.enabled(if: getuid() == 0, "mounts a file system"))
    func `a full disk is told in a sentence, status 74`() throws {
        let small = scratch.path + "/small"
        try FileManager.default.createDirectory(
            atPath: small, withIntermediateDirectories: true)
        #expect(
            try CommandLineTests.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", small])
                .status
                == 0)
        defer { _ = try? CommandLineTests.run(["umount", small]) }
        _ = FileManager.default.createFile(
            atPath: small + "/filler", contents: Data(repeating: 0, count: 4096))
        let outcome = try report([
            try results(SampleReport.block()), "--format", "json", "--output", small + "/out.json",
        ])
        #expect(outcome.status == 74)
        #expect(outcome.complaint.contains("No space left on device"))
        #expect(outcome.output.contains("\"schema\" : \"perfbench/1\""))
    }
}
