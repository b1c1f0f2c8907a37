import Foundation
import Testing

@testable import perfbench

@Suite struct SourceTreeTests {
    private let scratch: CommandLineTests.Scratch
    private let commit = "0123456789abcdef0123456789abcdef01234567"

    init() throws { scratch = try CommandLineTests.Scratch() }

    private func write(_ path: String, _ text: String) throws {
        let file = URL(fileURLWithPath: scratch.path + "/" + path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: true, encoding: .utf8)
    }

    @Test(arguments: [
        ["HEAD": "COMMIT\n"],
        ["HEAD": "ref: refs/heads/a/b\n", "refs/heads/a/b": "COMMIT\n"],
        [
            "HEAD": "ref: refs/heads/main\n",
            "packed-refs": "# pack-refs\nffff refs/heads/other\nCOMMIT refs/heads/main\n",
        ],
    ])
    func `the commit of HEAD is found`(files: [String: String]) throws {
        for (path, text) in files {
            try write(".git/" + path, text.replacingOccurrences(of: "COMMIT", with: commit))
        }
        #expect(SourceTree.commit(in: scratch.path + "/.git") == commit)
    }

    @Test func `a worktree finds the branches of its repository`() throws {
        let folder = scratch.path + "/main/.git/worktrees/two"
        try write("two/.git", "gitdir: \(folder)\n")
        try write("main/.git/worktrees/two/HEAD", "ref: refs/heads/two\n")
        try write("main/.git/worktrees/two/commondir", "../..\n")
        try write("main/.git/refs/heads/two", "\(commit)\n")
        #expect(SourceTree.commit(in: scratch.path + "/two/.git") == commit)
    }

    @Test func `where there is no such tree, nothing is known`() {
        #expect(SourceTree.commit(in: scratch.path + "/.git") == nil)
    }
}
