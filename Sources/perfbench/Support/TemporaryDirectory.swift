import CommandSupport
import FoundationEssentials
import Glibc
import SystemPackage

/// A directory of this process's own, which goes with everything in it when this object does.
final class TemporaryDirectory {
    let path: FilePath

    init() throws(CommandFailure) {
        path = FilePath("/tmp/perfbench-\(getpid())-\(UInt32.random(in: .min ... .max))")
        // Private, so that nobody else writes there. SAFETY: the string lives for the call.
        guard unsafe mkdir(path.string, 0o700) == 0 else {
            throw CommandFailure(
                .cannotCreate, "\(path) cannot be made (\(Errno(rawValue: errno)))")
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path.string)
    }
}
