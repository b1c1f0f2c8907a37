import CommandSupport
import FoundationEssentials
import Glibc
import SystemPackage

/// A directory of this process's own, which goes with everything in it when this object does.
final class TemporaryDirectory {
    let path: FilePath

    /// What TMPDIR says, where it says anything.
    static var chosen: FilePath? {
        ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : FilePath($0) }
    }

    /// The longest path with which that of a socket below it is short enough (`sun_path`).
    private static let parentByteCountMax = 64

    init() throws(CommandFailure) {
        let parent = Self.chosen.flatMap {
            $0.string.utf8.count <= Self.parentByteCountMax ? $0 : nil
        }
        path = (parent ?? "/tmp").appending(
            "perfbench-\(getpid())-\(UInt32.random(in: .min ... .max))")
        // Private, so that nobody else writes there. SAFETY: the string lives for the call.
        guard unsafe mkdir(path.string, 0o700) == 0 else {
            throw CommandFailure(
                .cannotCreate,
                "\(path) cannot be made (\(Errno(rawValue: errno))); set TMPDIR to another directory"
            )
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path.string)
    }
}
