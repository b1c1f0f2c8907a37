import CommandSupport
import Glibc
import SharedMemory
import SystemPackage

/// A temporary file without a name, filled with random data.
///
/// It is unlinked as soon as it is open, so nothing is left of it however the process ends; others
/// open it by ``path``, through `/proc`, while this object lives.
final class ScratchFile {
    private let descriptor: FileDescriptor
    let byteCount: Int

    var path: FilePath { FilePath("/proc/self/fd/\(descriptor.rawValue)") }

    /// - Parameter directory: where the file is to be, on a file system with as much room.
    init(directory: FilePath, byteCount: Int) throws {
        self.byteCount = byteCount
        do {
            let name = directory.appending("perfbench-\(getpid()).tmp")
            descriptor = try FileDescriptor.open(
                name, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
                permissions: .ownerReadWrite)
            // SAFETY: the string lives for the call.
            _ = unsafe name.withPlatformString { unsafe unlink($0) }
        } catch {
            throw CommandFailure(
                .cannotCreate,
                "no temporary file can be created in \(directory) (\(error)); name one with --file")
        }
        do {
            try fill()
        } catch let error as SystemCallError where error.errno == .noSpace {
            throw CommandFailure(
                .cannotCreate,
                "\(directory) has no room for a temporary file of \(ByteSize(byteCount)); "
                    + "name a file elsewhere with --file")
        }
    }

    deinit {
        try? descriptor.close()
    }

    private func fill() throws {
        let piece = try HostMemory.anonymous(byteCount: 1 << 20)
        var random = SplitMix64(seed: 1)
        var offset = 0
        while offset < byteCount, !Interruption.isRequested {
            let words = (0..<piece.byteCount / 8).map { _ in random.next() }
            piece.store(words.span, at: 0)
            let count = min(piece.byteCount, byteCount - offset)
            try piece.write(
                to: descriptor, atFileOffset: Int64(offset), offset: 0, byteCount: count)
            offset += count
        }
        // On the disk and out of the page cache, so that direct I/O does not meet cached pages.
        guard fdatasync(descriptor.rawValue) == 0 else {
            throw SystemCallError("fdatasync", Errno(rawValue: errno))
        }
        posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_DONTNEED)
    }
}

extension FilePath {
    /// A path that leads other processes to the same file: one through `/proc/self` would lead them to
    /// their own.
    var seenByOthers: FilePath {
        FilePath(string.replacing("/proc/self/", with: "/proc/\(getpid())/"))
    }
}
