import CLinux
import Glibc
import SharedMemory
public import SystemPackage
import Virtqueue

/// A regular file or block device that requests are served from.
///
/// Opened with `O_DIRECT`, storage has two descriptors: direct I/O through the one for what is
/// aligned as the storage wants it, and the page cache through the other for the rest
/// (``BlockAlignment``).
///
/// **Threading.** Any thread. The size is read once, when it is opened. Open a file or device once,
/// and share the storage: the engines of one storage know of each other what they need to know where
/// some requests are misaligned, those of two storages do not.
public final class BlockStorage: Sendable {
    /// How storage is opened.
    public struct Options: OptionSet, Sendable {
        public let rawValue: Int

        public init(rawValue: Int) {
            self.rawValue = rawValue
        }

        /// Writes are refused, and the file is opened `O_RDONLY`.
        public static let readOnly = Options(rawValue: 1)
        /// Everything goes through the page cache, instead of around it with `O_DIRECT`.
        public static let buffered = Options(rawValue: 2)
    }

    public let options: Options
    /// The size in bytes, whole sectors: what a file has beyond its last whole sector is not
    /// served.
    public let byteCount: UInt64
    public let isBlockDevice: Bool
    /// What direct I/O needs; `nil` where everything goes through the page cache.
    public let alignment: BlockAlignment?

    /// What a device's sectors are, in bytes; of a file 512. What cannot be transferred directly in
    /// that size goes through the page cache.
    public let logicalBlockByteCount: Int

    /// What discards are cut down to multiples of, in bytes: a device's logical sector. A file takes
    /// any range.
    let discardGranule: Int

    /// Whether the contents are in memory (tmpfs, ramfs): transfers wait for no device, except for what
    /// has been swapped out.
    public let isInMemory: Bool

    /// What keeps direct writes and misaligned requests apart; `nil` where nothing is direct.
    let gate: PageCacheGate?

    /// The descriptor for aligned transfers: direct, unless storage is buffered.
    let descriptor: FileDescriptor
    /// The descriptor for transfers that direct I/O does not take, where `descriptor` is direct.
    let bufferedDescriptor: FileDescriptor?

    /// Opens a file or block device.
    ///
    /// - Throws: `StorageError`, whose description says what is wrong with the path.
    public init(path: FilePath, options: Options = []) throws(StorageError) {
        let isReadOnly = options.contains(.readOnly)
        let isDirect = !options.contains(.buffered)
        let status = try Self.status(of: path)
        let isBlockDevice = status.type == .blockSpecial
        // Not to be written to while it is mounted. One of the two descriptors can have the claim.
        let isExclusive = isBlockDevice && !isReadOnly
        let descriptor = try Self.open(
            path, readOnly: isReadOnly,
            flags: (isDirect ? O_DIRECT : 0) | (isExclusive ? O_EXCL : 0))
        var bufferedDescriptor: FileDescriptor?
        do throws(StorageError) {
            if isDirect {
                let buffered = try Self.open(path, readOnly: isReadOnly, flags: 0)
                bufferedDescriptor = buffered
                guard Self.isSame(descriptor, buffered) else {
                    throw StorageError(path: path, reason: .notFound)
                }
                // No reading ahead: what is around a misaligned request is read directly.
                posix_fadvise(buffered.rawValue, 0, 0, POSIX_FADV_RANDOM)
                alignment = try BlockAlignment(probing: descriptor, path: path)
            } else {
                alignment = nil
            }
            byteCount = try Self.size(of: descriptor, path: path)
        } catch {
            try? descriptor.close()
            try? bufferedDescriptor?.close()
            throw error
        }
        logicalBlockByteCount =
            isBlockDevice
            ? max(Int(clinux_logical_sector_size(descriptor.rawValue)), sectorByteCount)
            : sectorByteCount
        discardGranule = isBlockDevice ? logicalBlockByteCount : 1
        isInMemory = !isBlockDevice && Self.isInMemory(descriptor)
        // In memory the page cache is all there is.
        gate = isDirect && !isInMemory ? PageCacheGate() : nil
        self.options = options
        self.descriptor = descriptor
        self.bufferedDescriptor = bufferedDescriptor
        self.isBlockDevice = isBlockDevice
    }

    deinit {
        try? descriptor.close()
        try? bufferedDescriptor?.close()
    }

    public var isReadOnly: Bool { options.contains(.readOnly) }
    public var isDirect: Bool { alignment != nil }

    private static func status(of path: FilePath) throws(StorageError) -> Stat {
        let status: Stat
        do {
            status = try path.stat()
        } catch {
            throw StorageError(path: path, systemCall: SystemCallError("stat", error))
        }
        switch status.type {
        case .regular, .blockSpecial: return status
        case .directory: throw StorageError(path: path, reason: .isDirectory)
        default: throw StorageError(path: path, reason: .notStorage)
        }
    }

    private static func open(
        _ path: FilePath, readOnly: Bool, flags: Int32
    ) throws(StorageError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(
                path, readOnly ? .readOnly : .readWrite,
                options: [.closeOnExec, FileDescriptor.OpenOptions(rawValue: flags)])
        } catch {
            let errno = error as? Errno ?? .ioError
            // The file is there and of the right kind, so EINVAL speaks of the flag.
            guard flags & O_DIRECT != 0, errno == .invalidArgument else {
                throw StorageError(path: path, systemCall: SystemCallError("open", errno))
            }
            throw StorageError(path: path, reason: .directIOUnsupported)
        }
    }

    /// Whether a file is in a file system that has its files in memory, as the nodes of devices are.
    private static func isInMemory(_ descriptor: FileDescriptor) -> Bool {
        var answer = statfs()
        // SAFETY: `answer` is a local.
        guard unsafe fstatfs(descriptor.rawValue, &answer) == 0 else { return false }
        // tmpfs and ramfs (`linux/magic.h`).
        return [0x0102_1994, 0x8584_58F6].contains(Int(answer.f_type))
    }

    /// Whether two descriptors are of one file, which a rename between two calls of `open` can prevent.
    private static func isSame(_ left: FileDescriptor, _ right: FileDescriptor) -> Bool {
        guard let left = try? left.stat(), let right = try? right.stat() else { return false }
        return left.deviceID == right.deviceID && left.inode == right.inode
    }

    private static func size(
        of descriptor: FileDescriptor, path: FilePath
    ) throws(StorageError) -> UInt64 {
        // Also right for a block device, whose `stat` has no size.
        do {
            let end = try descriptor.seek(offset: 0, from: .end)
            return UInt64(end) & ~UInt64(sectorByteCount - 1)
        } catch {
            throw StorageError(
                path: path, systemCall: SystemCallError("lseek", error as? Errno ?? .ioError))
        }
    }
}
