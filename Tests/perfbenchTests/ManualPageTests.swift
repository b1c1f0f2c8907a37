import Foundation
import Testing

/// What `scripts/man-pages` makes of what perfbench tells of itself.
@Suite struct ManualPageTests {
    static let hasPython = (try? CommandLineTests.run(["python3", "--version"]).status) == 0

    @Test(.enabled(if: hasPython, "python3 is not installed"))
    func `pages say which values an option takes, and name no page that is not there`() throws {
        let scratch = try CommandLineTests.Scratch()
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../scripts/man-pages").path
        let outcome = try CommandLineTests.run([
            "python3", script, CommandLineTests.executable, scratch.path,
        ])
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        func page(_ name: String) throws -> String {
            try String(contentsOfFile: "\(scratch.path)/\(name).1", encoding: .utf8)
        }
        let block = try page("perfbench-block")
        #expect(block.contains("One of: read, write, randread, randwrite, randrw."))
        // Where the help has them already it is left as it is.
        #expect(!block.contains("One of: direct"))
        for reference in try page("perfbench").matches(of: /\.BR (\S+) \(1\)/) {
            _ = try page(String(reference.1).replacing("\\-", with: "-"))
        }
    }
}
