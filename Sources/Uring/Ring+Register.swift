import CUring
import Glibc
public import SharedMemory
public import SystemPackage

/// The longest buffer that the kernel registers, in bytes (`io_uring_register(2)`): 1 GiB.
public let registeredBufferByteCountMax = 1 << 30

/// A file by its place in the ring's table of registered files.
public struct FixedFile: Hashable, Sendable {
    let index: Int32

    /// The file that stood at `index` in the list given to ``Ring/registerFiles(_:)``.
    public init(index: Int) {
        self.index = Int32(index)
    }
}

/// A buffer by its place in the ring's table of registered buffers.
public struct FixedBuffer: Hashable, Sendable {
    let index: UInt16

    /// The buffer that stood at `index` in the list given to ``Ring/registerBuffers(_:)``.
    public init(index: Int) {
        self.index = UInt16(index)
    }
}

extension Ring {
    /// Registers the files that operations name by ``FixedFile``: the kernel looks them up once.
    ///
    /// - Throws: `SystemCallError` of `io_uring_register`.
    public mutating func registerFiles(_ files: [FileDescriptor]) throws(SystemCallError) {
        let descriptors = files.map(\.rawValue)
        // SAFETY: the array lives for the call; the kernel copies it.
        let result = unsafe io_uring_register_files(ring, descriptors, UInt32(descriptors.count))
        guard result == 0 else {
            throw SystemCallError("io_uring_register", Errno(rawValue: -result))
        }
    }

    /// Registers buffers: the kernel pins and maps their pages once instead of at every operation.
    ///
    /// The memory must live as long as the ring. Locked memory is limited (`RLIMIT_MEMLOCK`) for
    /// processes without `CAP_IPC_LOCK`.
    ///
    /// - Parameter ranges: each at most ``registeredBufferByteCountMax`` long.
    /// - Throws: `SystemCallError` of `io_uring_register`; `ENOMEM` where the limit is too low.
    public mutating func registerBuffers(_ ranges: [HostRange]) throws(SystemCallError) {
        let vectors = unsafe ranges.map {
            unsafe iovec(
                iov_base: UnsafeMutableRawPointer(bitPattern: UInt($0.address)),
                iov_len: $0.byteCount)
        }
        // SAFETY: the array lives for the call; the kernel copies it.
        let result = unsafe io_uring_register_buffers(ring, vectors, UInt32(vectors.count))
        guard result == 0 else {
            throw SystemCallError("io_uring_register", Errno(rawValue: -result))
        }
        registeredBufferCount = ranges.count
    }
}
