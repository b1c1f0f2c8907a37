import BlockBackend
import CommandSupport
import FoundationEssentials
import Glibc
import SharedMemory
import SystemPackage
import Uring

/// How I/O gets to the storage.
extension Doctor {
    var uring: Diagnosis {
        do {
            _ = try Ring(entryCount: 1)
            return .ok("io_uring", "permitted")
        } catch {
            return uring(refusedBy: error)
        }
    }

    func uring(refusedBy error: SystemCallError) -> Diagnosis {
        let setting = files.number("/proc/sys/kernel/io_uring_disabled")
        let advice =
            switch (error.errno, setting) {
            case (.noFunction, _): "boot a kernel of Linux 5.6 or later that has CONFIG_IO_URING"
            case (.noMemory, _): "raise the limit of locked memory (ulimit -l), or end something"
            case (_, 1): "run as root, or sysctl kernel.io_uring_disabled=0"
            case (_, 2): "sysctl kernel.io_uring_disabled=0"
            case (.notPermitted, _), (.permissionDenied, _):
                "docker run --security-opt seccomp=unconfined, or a profile that has io_uring_setup"
            default: "see io_uring_setup(2) for what that means"
            }
        return .serious("io_uring", CommandFailure(error).message, advice)
    }

    /// The file system, and whether direct I/O goes around its cache.
    var storageFindings: [Diagnosis] {
        guard let path = storage ?? ScratchFile.directory(of: places)?.string else {
            return [.serious("storage", ScratchFile.lack(of: places), ScratchFile.advice)]
        }
        var status = statvfs()
        // SAFETY: the string and the answer live for the call.
        guard unsafe statvfs(path, &status) == 0 else {
            return [
                .serious(
                    "storage", "\(path) cannot be looked at (\(Errno(rawValue: errno)))",
                    "name a file or block device that is there, by --file")
            ]
        }
        guard storage == nil else { return [fileSystem(path), directIO(path)] }
        let free = Int(status.f_bavail) * Int(status.f_frsize)
        let needed = ScratchFile.defaultByteCount
        return [
            fileSystem(path),
            free >= needed
                ? .ok("disk space", "\(free >> 20)m")
                : .serious(
                    "disk space", "\(free >> 20)m, and a temporary file takes \(needed >> 20)m",
                    "make room, or set TMPDIR to a directory elsewhere"),
        ]
    }

    func fileSystem(_ path: String) -> Diagnosis {
        let subject = "file system"
        let type = fileSystemType(path) ?? "unknown"
        let found = "\(path) is on \(type)"
        switch type {
        case "tmpfs", "ramfs", "devtmpfs":
            // The nodes of block devices are in memory, too; what they stand for is not.
            guard !path.hasPrefix("/dev/") || path.hasPrefix("/dev/shm/") else {
                return .ok(subject, "\(path) is a device")
            }
            return .note(
                subject, "\(found), which is memory: figures are those of copies, not of a disk",
                "name a file on the disk that matters, by --file")
        case "overlay":
            return .note(
                subject, "\(found), as files of containers are: one more layer",
                "mount a volume, and name a file on it, by --file")
        case "9p", "ceph", "cifs", "nfs", "nfs4", "virtiofs",
            _ where type.hasPrefix("fuse"):
            return .note(
                subject, "\(found): on a network, or in user space",
                "name a file on a local disk, by --file")
        default: return .ok(subject, found)
        }
    }

    /// The type of what is mounted deepest above a path, of `proc_pid_mountinfo(5)`.
    private func fileSystemType(_ path: String) -> String? {
        let path = URL(filePath: path).resolvingSymlinksInPath().path
        let mounts = files.text("/proc/self/mountinfo")?.split(separator: "\n").compactMap {
            line -> (point: String, type: String)? in
            let words = line.split(separator: " ")
            guard words.count > 5, let dash = words.firstIndex(of: "-"), dash + 1 < words.count
            else { return nil }
            return (String(words[4]), String(words[dash + 1]))
        }
        // Of two on one point the later one is above.
        return mounts?.reversed().filter {
            $0.point == "/" || path == $0.point || path.hasPrefix($0.point + "/")
        }.max { $0.point.count < $1.point.count }?.type
    }

    private func directIO(_ path: String) -> Diagnosis {
        let subject = "O_DIRECT"
        do throws(StorageError) {
            let storage = try BlockStorage(path: FilePath(path), options: .readOnly)
            let alignment = storage.alignment?.offset ?? 0
            return alignment <= 4096
                ? .ok(subject, "alignment \(alignment)")
                : .note(
                    subject, "alignment \(alignment): smaller blocks go through the page cache",
                    "use --block-size \(ByteSize(alignment)) or more")
        } catch {
            let failure = CommandFailure(error)
            return error.reason == .directIOUnsupported
                ? .note(
                    subject, "\(error): figures would be those of the page cache",
                    "use --buffered, or a file on another file system")
                : .serious(subject, failure.message, "name another file, by --file")
        }
    }
}
