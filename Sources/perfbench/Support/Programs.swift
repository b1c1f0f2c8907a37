import FoundationEssentials
import SystemPackage

/// Where programs are.
enum Programs {
    /// This program.
    static var current: FilePath {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return FilePath(link ?? "./perfbench")
    }

    /// Where it is.
    static var directory: FilePath { current.removingLastComponent() }

    /// The executable that a shell would run for a name.
    static func find(_ name: String) -> String? {
        let folders = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return folders.split(separator: ":").lazy.map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
