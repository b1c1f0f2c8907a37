import BlockBackend
import Foundation
import Glibc
import SystemPackage
import Uring
import Virtqueue

/// What this machine lets tests do.
enum Machine {
    /// Whether io_uring is permitted.
    static let hasUring: Bool = {
        do {
            _ = try Ring(entryCount: 1)
            return true
        } catch {
            return false
        }
    }()

    static let isRoot = geteuid() == 0

    /// Whether a file system can be mounted: root alone is not enough in a container.
    static let canMount: Bool = {
        do {
            try withTmpfs(byteCount: 1 << 20) { _ in }
            return true
        } catch {
            return false
        }
    }()

    /// Whether a loop device with sectors of 4096 bytes is to be had.
    static let canLoop: Bool = {
        do {
            try withLoopDevice(byteCount: 1 << 20, sectorByteCount: 4096) { _ in }
            return true
        } catch {
            return false
        }
    }()

    /// Whether files in a directory can be opened with `O_DIRECT`.
    static func hasDirectIO(_ directory: FilePath) -> Bool {
        do {
            try withDirectory(in: directory) { scratch in
                let file = scratch.appending("probe")
                try writeFile(file, bytes: [UInt8](repeating: 0, count: 4096))
                _ = try BlockStorage(path: file)
            }
            return true
        } catch {
            return false
        }
    }

    static let diskHasDirectIO = hasDirectIO(buildDirectory)
    static let tmpfsHasDirectIO = hasDirectIO("/dev/shm")

    /// The build directory of this package, which is on a disk as a rule.
    static let buildDirectory: FilePath = {
        let build = FilePath(#filePath).removingLastComponent().removingLastComponent()
            .removingLastComponent().removingLastComponent().appending(".build")
        try? FileManager.default.createDirectory(
            atPath: build.string, withIntermediateDirectories: true)
        return build
    }()
}

extension Machine {
    /// Memory that could be taken without swapping, in bytes (`MemAvailable`).
    static let availableByteCount: Int = {
        guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return 0 }
        return kilobytes << 10
    }()
}
