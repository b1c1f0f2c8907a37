import CommandSupport
import Foundation
import SystemPackage
import Testing

@testable import perfbench

@Suite struct ScratchFileTests {
    private let scratch: CommandLineTests.Scratch

    init() throws { scratch = try CommandLineTests.Scratch() }

    @Test func `a place that nobody can write to is passed over`() {
        let place = FilePath(scratch.path)
        #expect(ScratchFile.directory(of: ["/nonexistent", place, "/var/tmp"]) != "/nonexistent")
        #expect(ScratchFile.directory(of: ["/nonexistent", place]) == place)
        #expect(ScratchFile.directory(of: ["/nonexistent"]) == nil)
    }

    @Test(.enabled(if: getuid() == 0, "mounts a file system"))
    func `memory is taken where there is no disk only, and its room is told`() throws {
        let memory = FilePath(scratch.path)
        #expect(
            try CommandLineTests.run([
                "mount", "-t", "tmpfs", "-o", "size=1m", "none", scratch.path,
            ]).status == 0)
        defer { _ = try? CommandLineTests.run(["umount", scratch.path]) }
        let disk = Programs.directory
        #expect(ScratchFile.directory(of: [memory, disk]) == disk)
        #expect(ScratchFile.directory(of: [memory]) == memory)
        let failure = #expect(throws: CommandFailure.self) {
            _ = try ScratchFile(in: [memory], byteCount: 4 << 20)
        }
        #expect(failure?.status == .cannotCreate)
        #expect(failure?.message.contains("no room for a temporary file of 4m") == true)
        #expect(failure?.message.contains("TMPDIR") == true)
    }

    @Test(.enabled(if: getuid() == 0, "becomes another user"))
    func `whoever may not write beside the program has a place all the same`() throws {
        let outcome = try CommandLineTests.run([
            "-C", "/", "setpriv", "--reuid=65534", "--clear-groups", CommandLineTests.executable,
            "doctor",
        ])
        #expect(outcome.output.contains("/var/tmp is on"), "\(outcome.output)")
    }

    @Test func `temporary directories are where TMPDIR says, status 73 where there is none`() throws
    {
        let outcome = try CommandLineTests.run(
            ["TMPDIR=/nonexistent", CommandLineTests.executable, "net", "--frame-size", "64"]
                + CommandLineTests.quick + ["--queue-size", "16", "--burst", "4"])
        #expect(outcome.status == 73)
        #expect(outcome.complaint.contains("/nonexistent/perfbench-"), "said: \(outcome.complaint)")
    }
}
