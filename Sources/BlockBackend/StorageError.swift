public import SharedMemory
public import SystemPackage

/// Why storage could not be opened, in one sentence a user can act on.
public struct StorageError: Error, Equatable, CustomStringConvertible {
    public enum Reason: Equatable, Sendable {
        case notFound
        case permissionDenied
        case readOnlyFileSystem
        /// A block device that is mounted, or in use otherwise.
        case busy
        case isDirectory
        /// A character device, socket or pipe.
        case notStorage
        /// The file system has no direct I/O.
        case directIOUnsupported
        case systemCall(SystemCallError)
    }

    public let path: FilePath
    public let reason: Reason

    init(path: FilePath, reason: Reason) {
        self.path = path
        self.reason = reason
    }

    init(path: FilePath, systemCall error: SystemCallError) {
        self.path = path
        reason =
            switch error.errno {
            case .noSuchFileOrDirectory, .notDirectory: .notFound
            case .permissionDenied, .notPermitted: .permissionDenied
            case .readOnlyFileSystem: .readOnlyFileSystem
            case .resourceBusy: .busy
            case .isDirectory: .isDirectory
            default: .systemCall(error)
            }
    }

    public var description: String {
        switch reason {
        case .notFound: "\(path) does not exist"
        case .permissionDenied: "\(path) cannot be opened: permission denied"
        case .readOnlyFileSystem: "\(path) is on a read-only file system"
        case .busy: "\(path) is mounted or in use otherwise"
        case .isDirectory: "\(path) is a directory, not a file or block device"
        case .notStorage: "\(path) is neither a regular file nor a block device"
        case .directIOUnsupported: "the file system of \(path) has no direct I/O (O_DIRECT)"
        case .systemCall(let error): "\(path) cannot be opened (\(error))"
        }
    }
}
