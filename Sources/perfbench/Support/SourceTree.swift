import FoundationEssentials
import SystemPackage

/// The git tree that a program was built in.
enum SourceTree {
    /// Which commit is checked out in the tree that a directory lies in; `nil` where it lies in none.
    ///
    /// Read without git, of which a machine that only measures has no need. What is not committed, and
    /// whether the program was built since, it does not tell.
    static func commit(around directory: FilePath) -> String? {
        var directory = directory
        while !directory.components.isEmpty {
            let git = directory.appending(".git").string
            if FileManager.default.fileExists(atPath: git) { return commit(in: git) }
            directory.removeLastComponent()
        }
        return nil
    }

    /// - Parameter git: the folder, or, of a worktree, the file that says where it is.
    static func commit(in git: String) -> String? {
        let files = SystemFiles()
        let folder = files.field("gitdir", of: git) ?? git
        guard let head = files.line(folder + "/HEAD") else { return nil }
        guard head.hasPrefix("ref: ") else { return head }
        let name = head.dropFirst(5)
        // Branches are common to all worktrees.
        let common = files.line(folder + "/commondir").map { "\(folder)/\($0)" } ?? folder
        if let commit = files.line("\(common)/\(name)") { return commit }
        let packed = files.text(common + "/packed-refs")?.split(separator: "\n")
            .first { $0.hasSuffix(" \(name)") }
        return packed?.split(separator: " ").first.map { String($0) }
    }
}
