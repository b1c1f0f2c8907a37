import Glibc
public import SharedMemory
public import SystemPackage

/// Transfers without a ring, made by the calling thread before the call returns (`pread(2)` and its
/// kin): for files whose contents are in memory. Through a ring the kernel hands those to a thread
/// of its own, if their file system cannot promise not to wait (`FMODE_NOWAIT`; tmpfs cannot), which
/// costs several times what the transfer does.
///
/// Each returns what a ring's completion would have as its result: a count of bytes, which may be
/// short, or a negated `errno`.
public enum ImmediateTransfer {
    /// Transfers between a file and one range of memory.
    ///
    /// - Precondition: the range's memory lives, and nobody minds what happens to its bytes.
    public static func perform(
        _ direction: TransferDirection, _ range: HostRange, file: FileDescriptor,
        fileOffset: UInt64
    ) -> Int32 {
        // SAFETY: the range was checked when it was made; the caller keeps its memory for the call.
        let address = unsafe UnsafeMutableRawPointer(bitPattern: UInt(range.address))
        // What the kernel transfers at once at most, so that the count fits the result.
        let byteCount = min(range.byteCount, 0x7FFF_F000)
        return result(
            direction == .read
                ? unsafe pread(file.rawValue, address, byteCount, off_t(fileOffset))
                : unsafe pwrite(file.rawValue, address, byteCount, off_t(fileOffset)))
    }

    /// Transfers between a file and a list of ranges, in the order of the list.
    public static func perform(
        _ direction: TransferDirection, _ list: IOVectors.List, of vectors: IOVectors,
        file: FileDescriptor, fileOffset: UInt64
    ) -> Int32 {
        // SAFETY: the list's vectors are in the row, and their ranges were checked when they were
        // made; the caller keeps their memory for the call.
        let first = unsafe vectors.pointer(to: list)
        let count = Int32(list.count)
        return result(
            direction == .read
                ? unsafe preadv(file.rawValue, first, count, off_t(fileOffset))
                : unsafe pwritev(file.rawValue, first, count, off_t(fileOffset)))
    }

    /// Makes what was written durable (`fdatasync(2)`).
    public static func sync(file: FileDescriptor) -> Int32 {
        result(Int(fdatasync(file.rawValue)))
    }

    private static func result(_ count: Int) -> Int32 {
        count < 0 ? -errno : Int32(count)
    }
}
