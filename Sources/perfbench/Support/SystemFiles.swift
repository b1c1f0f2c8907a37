import FoundationEssentials

/// What the kernel tells in files, below `/proc` and `/sys`.
struct SystemFiles {
    /// What paths begin with: nothing, but for tests.
    var root = ""

    /// A file's text; `nil` where there is none, or it may not be read.
    func text(_ path: String) -> String? {
        try? String(contentsOfFile: root + path, encoding: .utf8)
    }

    /// A file's first line.
    func line(_ path: String) -> String? {
        text(path)?.split(separator: "\n").first.map { String($0) }
    }

    /// The number that a file begins with.
    func number(_ path: String) -> Int? {
        line(path).flatMap { Int($0.prefix { $0.isNumber || $0 == "-" }) }
    }

    /// What follows `name` in the line that begins with it, without blanks around it.
    func field(_ name: String, of path: String) -> String? {
        guard let line = text(path)?.split(separator: "\n").first(where: { $0.hasPrefix(name) })
        else { return nil }
        let value = line.dropFirst(name.count).drop { $0 == " " || $0 == "\t" || $0 == ":" }
        return String(value)
    }

    /// The word in brackets, as in `always [madvise] never`.
    func choice(_ path: String) -> String? {
        guard let line = line(path), let begin = line.firstIndex(of: "["),
            let end = line.firstIndex(of: "]"), begin < end
        else { return nil }
        return String(line[line.index(after: begin)..<end])
    }

    /// The entries of a directory, sorted; none where there is no such directory.
    func names(in path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: root + path)) ?? []).sorted()
    }

    /// Where this process's version 2 control group is, and those that it is in, up to the root: the limits
    /// of each hold. None where the controllers are those of version 1.
    var controlGroups: [String] {
        let root = "/sys/fs/cgroup"
        guard text(root + "/cgroup.controllers") != nil,
            let path = field("0::", of: "/proc/self/cgroup")
        else { return [] }
        let names = path.split(separator: "/")
        return (0...names.count).reversed().map { count in
            ([root] + names.prefix(count).map { String($0) }).joined(separator: "/")
        }
    }
}
