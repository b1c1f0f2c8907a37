import CLinux
import CommandSupport
import FoundationEssentials
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

    static let defaultByteCount = 512 << 20

    /// Where temporary files may be: where the user says, here, and where the system keeps large ones.
    static var places: [FilePath] {
        [
            TemporaryDirectory.chosen, FilePath(FileManager.default.currentDirectoryPath),
            "/var/tmp",
        ].compactMap { $0 }
    }

    /// The first of some places that this process may write to; one in memory only where no other is.
    static func directory(of places: [FilePath] = places) -> FilePath? {
        // SAFETY: the string lives for the call.
        let writable = places.filter { unsafe access($0.string, W_OK | X_OK) == 0 }
        // SAFETY: likewise.
        return writable.first { unsafe clinux_is_in_memory($0.string) == 0 } ?? writable.first
    }

    /// - Parameter places: of which ``directory(of:)`` is taken.
    /// - Throws: status 73 where the file cannot be made, or has no room.
    init(
        in places: [FilePath] = places, byteCount: Int = defaultByteCount
    ) throws(CommandFailure) {
        self.byteCount = byteCount
        guard let directory = Self.directory(of: places) else {
            throw CommandFailure(.cannotCreate, "\(Self.lack(of: places)); \(Self.advice)")
        }
        descriptor = try Self.open(in: directory)
        do throws(SystemCallError) {
            try fill()
        } catch {
            guard error.errno == .noSpace else { throw CommandFailure(error) }
            throw CommandFailure(
                .cannotCreate,
                "\(directory) has no room for a temporary file of \(ByteSize(byteCount)); \(Self.advice)"
            )
        }
    }

    /// That there is no place for temporary files.
    static func lack(of places: [FilePath]) -> String {
        "no temporary file can be created in \(places.map(\.string).joined(separator: ", "))"
    }

    /// What to do where there is none, or too little.
    static let advice = "set TMPDIR to a directory with room for it"

    private static func open(in directory: FilePath) throws(CommandFailure) -> FileDescriptor {
        do {
            let name = directory.appending("perfbench-\(getpid()).tmp")
            let descriptor = try FileDescriptor.open(
                name, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
                permissions: .ownerReadWrite)
            // SAFETY: the string lives for the call.
            _ = unsafe name.withPlatformString { unsafe unlink($0) }
            return descriptor
        } catch {
            throw CommandFailure(
                .cannotCreate, "\(lack(of: [directory])) (\(error)); \(advice)")
        }
    }

    deinit {
        try? descriptor.close()
    }

    private func fill() throws(SystemCallError) {
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
