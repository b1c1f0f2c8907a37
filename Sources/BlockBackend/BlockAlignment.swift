import CLinux
import Glibc
import SharedMemory
import SystemPackage

/// What direct I/O on a storage needs, probed once when it is opened.
///
/// Virtio addresses sectors of 512 bytes whatever the storage, so requests that a 4096-byte device
/// does not take directly are ordinary. All of them go one way: through the page cache, by the
/// storage's second descriptor, where the kernel reads, modifies and writes whole blocks. This type
/// is the only place that decides which requests these are.
public struct BlockAlignment: Hashable, Sendable {
    /// Addresses in memory are multiples of this, in bytes; a power of two.
    public let memory: Int
    /// Offsets in the storage, and lengths, are multiples of this, in bytes; a power of two.
    public let offset: Int

    /// - Precondition: both are powers of two.
    public init(memory: Int, offset: Int) {
        precondition(
            memory > 0 && memory & (memory - 1) == 0 && offset > 0 && offset & (offset - 1) == 0,
            "an alignment is a power of two")
        self.memory = memory
        self.offset = offset
    }

    /// Whether a range of the storage can be transferred directly.
    func admits(fileOffset: UInt64, byteCount: Int) -> Bool {
        (fileOffset | UInt64(byteCount)) & UInt64(offset - 1) == 0
    }

    /// Whether one range of a payload can be transferred directly.
    func admits(_ range: HostRange) -> Bool {
        range.address & UInt64(memory - 1) == 0 && range.byteCount & (offset - 1) == 0
    }

    /// What is used where the kernel does not tell: safe on every device of today.
    static let fallback = BlockAlignment(memory: 4096, offset: 4096)
}

extension BlockAlignment {
    /// Asks the kernel: `statx(2)` with `STATX_DIOALIGN` (Linux 6.1), a block device's logical
    /// sector size before that.
    init(probing descriptor: FileDescriptor, path: FilePath) throws(StorageError) {
        var answer = statx()
        // SAFETY: `answer` is a local, and the empty string lives for the call.
        let result = unsafe statx(
            descriptor.rawValue, "", AT_EMPTY_PATH, UInt32(STATX_DIOALIGN), &answer)
        if result == 0, answer.stx_mask & UInt32(STATX_DIOALIGN) != 0 {
            // Zero is how the kernel says that this file has no direct I/O, though it let itself be
            // opened for it.
            guard answer.stx_dio_offset_align > 0, answer.stx_dio_mem_align > 0 else {
                throw StorageError(path: path, reason: .directIOUnsupported)
            }
            self.init(
                memory: Int(answer.stx_dio_mem_align), offset: Int(answer.stx_dio_offset_align))
            return
        }
        let sector = Int(clinux_logical_sector_size(descriptor.rawValue))
        self = sector > 0 ? BlockAlignment(memory: sector, offset: sector) : .fallback
    }
}
