import Glibc
import SharedMemory
import SystemPackage

/// The file by which a listening socket is found.
struct SocketFile {
    private let path: FilePath
    private let device: UInt64
    private let inode: UInt64

    /// The socket that is at a path now; `nil` where there is none.
    init?(_ path: FilePath) {
        var status = stat()
        // SAFETY: the string lives for the call, and `status` is a local.
        guard unsafe lstat(path.string, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
            return nil
        }
        self.path = path
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Removes the file, unless another has taken its place.
    func remove() {
        guard let now = SocketFile(path), now.device == device, now.inode == inode else { return }
        // SAFETY: the string lives for the call.
        unsafe unlink(path.string)
    }

    /// Removes a socket on which nobody listens any more.
    ///
    /// - Throws: `pathInUse` where somebody does, or the file is no socket.
    static func removeStale(_ path: FilePath) throws(VhostUserError) {
        guard let file = SocketFile(path) else {
            // SAFETY: the string lives for the call.
            guard unsafe access(path.string, F_OK) != 0 else { throw .pathInUse(path.string) }
            return
        }
        do throws(VhostUserError) {
            _ = try MessageSocket(connecting: path)
        } catch .system(let error) where error.errno == .connectionRefused {
            return file.remove()
        }
        throw .pathInUse(path.string)
    }
}
