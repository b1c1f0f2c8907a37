import CLinux
import Glibc
public import Logging
public import SystemPackage

extension HostMemory {
    /// Maps private, zeroed memory that no other process sees: a guest's memory in a test or a
    /// benchmark.
    ///
    /// - Parameters:
    ///   - byteCount: the length, more than zero; rounded up to whole pages by the kernel.
    ///   - pages: `.base` or `.transparentHuge`.
    /// - Throws: `SystemCallError` of `mmap`.
    public static func anonymous(
        byteCount: Int, pages: Pages = .base
    ) throws(SystemCallError) -> HostMemory {
        precondition(byteCount > 0, "memory has a length")
        precondition(pages != .reservedHuge, "private memory uses base or transparent pages")
        return try HostMemory(mapping: nil, offset: 0, byteCount: byteCount, pages: pages)
    }

    /// Creates a window: a memfd of a fixed size that can be sent to a peer.
    ///
    /// Its size is sealed (`F_SEAL_SHRINK`, `F_SEAL_GROW`, `F_SEAL_SEAL`), so a peer that holds the
    /// descriptor cannot make this process fault by truncating it. All pages are allocated now, so
    /// the data path takes no first-touch fault and does not run out of memory later.
    ///
    /// - Parameters:
    ///   - byteCount: the length, a positive multiple of the page size (2 MiB for `.reservedHuge`).
    ///   - pages: what to try for. Reserved huge pages fall back to transparent ones, and these to
    ///     base pages, each with a notice in the log; ``pages`` tells what was obtained.
    ///   - name: shown in `/proc/*/maps`.
    ///   - logger: where a fall-back is noted.
    /// - Throws: `SystemCallError` of `memfd_create`, `ftruncate`, `fallocate`, `fcntl` or `mmap`.
    public static func window(
        byteCount: Int, pages: Pages = .base, name: String = "bounce-window",
        logger: Logger = Logger(label: "SharedMemory")
    ) throws(SystemCallError) -> HostMemory {
        precondition(byteCount > 0 && byteCount % pageByteCount == 0, "a window is whole pages")
        if pages == .reservedHuge {
            do {
                return try sealedWindow(byteCount: byteCount, pages: .reservedHuge, name: name)
            } catch {
                logger.notice(
                    "no reserved huge pages for a window of \(byteCount) bytes (\(error)); using transparent ones"
                )
            }
        }
        let wanted = pages == .base ? Pages.base : .transparentHuge
        let window = try sealedWindow(byteCount: byteCount, pages: wanted, name: name)
        if window.pages != wanted {
            logger.notice(
                "no transparent huge pages for shared memory here; the window has base pages")
        }
        return window
    }

    /// Maps a part of a file or memfd that somebody else created, such as a region that a
    /// vhost-user frontend sent.
    ///
    /// - Parameters:
    ///   - fileDescriptor: ownership passes to the result, also when this throws.
    ///   - offset: where the part begins, a multiple of the page size.
    ///   - byteCount: the length, more than zero.
    /// - Throws: `SystemCallError` of `fstat` or `mmap`; `EINVAL` where the file ends before the
    ///   part does. A peer can still shorten a file that is not sealed, which makes an access
    ///   fault: see ``isSealed``.
    public static func mapped(
        _ fileDescriptor: FileDescriptor, offset: Int, byteCount: Int
    ) throws(SystemCallError) -> HostMemory {
        do throws(SystemCallError) {
            guard offset >= 0, byteCount > 0, offset % pageByteCount == 0 else {
                throw SystemCallError("mmap", .invalidArgument)
            }
            let fileByteCount: Int64
            do {
                fileByteCount = try fileDescriptor.stat().size
            } catch {
                throw SystemCallError("fstat", error)
            }
            guard offset <= fileByteCount, byteCount <= Int(fileByteCount) - offset else {
                throw SystemCallError("mmap", .invalidArgument)
            }
        } catch {
            try? fileDescriptor.close()
            throw error
        }
        return try HostMemory(
            mapping: fileDescriptor, offset: offset, byteCount: byteCount,
            pages: hugePageByteCount(of: fileDescriptor) == nil ? .base : .reservedHuge)
    }

    /// Maps a part of a file that need not begin or end at a page, such as the regions of some
    /// vhost-user frontends. Pages of `hugetlbfs(5)` are mapped whole.
    ///
    /// - Parameters:
    ///   - fileDescriptor: ownership passes to the result, also when this throws.
    ///   - fileOffset: where the part begins; any number a peer has sent.
    ///   - byteCount: its length, likewise.
    /// - Returns: the memory, and where the part begins in it.
    /// - Throws: as ``mapped(_:offset:byteCount:)``.
    public static func mapped(
        _ fileDescriptor: FileDescriptor, around fileOffset: UInt64, byteCount: UInt64
    ) throws(SystemCallError) -> (memory: HostMemory, offset: Int) {
        let hugePageByteCount = hugePageByteCount(of: fileDescriptor)
        let granule = UInt64(hugePageByteCount ?? pageByteCount)
        let lead = fileOffset % granule
        let (length, overflow) = byteCount.addingReportingOverflow(lead)
        // The kernel maps and unmaps reserved huge pages only whole; a file of them has no others.
        let (end, endOverflow) = length.addingReportingOverflow(
            hugePageByteCount == nil ? 0 : granule - 1)
        let mapped = hugePageByteCount == nil ? end : end / granule * granule
        guard byteCount > 0, !overflow, !endOverflow,
            let start = Int(exactly: fileOffset - lead), let mappedByteCount = Int(exactly: mapped)
        else {
            try? fileDescriptor.close()
            throw SystemCallError("mmap", .invalidArgument)
        }
        let memory = try HostMemory.mapped(
            fileDescriptor, offset: start, byteCount: mappedByteCount)
        return (memory, Int(lead))
    }

    /// The base page size in bytes.
    public static let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
}

extension HostMemory {
    private static func sealedWindow(
        byteCount: Int, pages: Pages, name: String
    ) throws(SystemCallError) -> HostMemory {
        let flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (pages == .reservedHuge ? MFD_HUGETLB : 0)
        // SAFETY: the string lives for the call.
        let descriptor = unsafe memfd_create(name, UInt32(flags))
        guard descriptor >= 0 else { throw SystemCallError("memfd_create", .current) }
        guard ftruncate(descriptor, byteCount) == 0 else {
            let error = SystemCallError("ftruncate", .current)
            close(descriptor)
            throw error
        }
        let memory = try HostMemory(
            mapping: FileDescriptor(rawValue: descriptor), offset: 0, byteCount: byteCount,
            pages: pages)
        if memory.pages == .transparentHuge {
            // Through the mapping, which was advised: what is allocated through the file is base
            // pages. SAFETY: pages are made present, no byte of them changes.
            unsafe madvise(memory.base, byteCount, MADV_POPULATE_WRITE)
        }
        try allocate(descriptor, byteCount: byteCount)
        guard fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 else {
            throw SystemCallError("fcntl", .current)
        }
        return memory
    }

    /// Allocates all pages of a memfd, the last ones first.
    ///
    /// The kernel hands out single free pages before it breaks up large ones, so what is allocated
    /// first is physically scattered. A window is used from its start, and a payload in contiguous
    /// pages is one segment for a device instead of one a page (docs/performance.md): the scattered
    /// pages are better at the end.
    private static func allocate(
        _ descriptor: Int32, byteCount: Int
    ) throws(SystemCallError) {
        let piece = 2 << 20
        var end = byteCount
        while end > 0 {
            let offset = (end - 1) / piece * piece
            guard fallocate(descriptor, 0, offset, end - offset) == 0 else {
                throw SystemCallError("fallocate", .current)
            }
            end = offset
        }
    }

    /// Maps `byteCount` bytes, shared where there is a descriptor and private where there is none.
    ///
    /// Takes ownership of the descriptor, also when it throws.
    private convenience init(
        mapping descriptor: FileDescriptor?, offset: Int, byteCount: Int, pages: Pages
    ) throws(SystemCallError) {
        let flags = descriptor == nil ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let address = unsafe mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, flags, descriptor?.rawValue ?? -1, offset)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            let error = SystemCallError("mmap", .current)
            try? descriptor?.close()
            throw error
        }
        var obtained = pages
        if pages == .transparentHuge {
            // SAFETY: advice does not change the contents of the mapping just made.
            let isTaken = unsafe madvise(address, byteCount, MADV_HUGEPAGE) == 0
            // The call succeeds for shared memory also where the system gives it no huge pages.
            obtained = isTaken && givesHugePages(toShared: descriptor != nil) ? pages : .base
        }
        unsafe self.init(
            adopting: address, byteCount: byteCount, pages: obtained, fileDescriptor: descriptor,
            fileOffset: offset)
    }
}

extension HostMemory {
    /// The size of the pages that a file is mapped in.
    static func pageByteCount(of file: FileDescriptor?) -> Int {
        file.flatMap { hugePageByteCount(of: $0) } ?? pageByteCount
    }
}

/// The page size of a file of reserved huge pages; `nil` of any other.
private func hugePageByteCount(of file: FileDescriptor) -> Int? {
    let byteCount = clinux_huge_page_size(file.rawValue)
    return byteCount > 0 ? byteCount : nil
}

/// Whether the system gives transparent huge pages to memory that asks for them.
private func givesHugePages(toShared isShared: Bool) -> Bool {
    let setting = isShared ? "shmem_enabled" : "enabled"
    var text = [UInt8](repeating: 0, count: 128)
    do {
        let file = try FileDescriptor.open(
            FilePath("/sys/kernel/mm/transparent_hugepage/\(setting)"), .readOnly,
            options: .closeOnExec)
        try file.closeAfter {
            // SAFETY: the buffer lives for the call.
            _ = unsafe try text.withUnsafeMutableBytes { try unsafe file.read(into: $0) }
        }
    } catch {
        return false
    }
    let chosen = String(decoding: text, as: UTF8.self)
    return !chosen.contains("[never]") && !chosen.contains("[deny]")
}

extension Errno {
    /// The error of the system call that failed last on this thread.
    static var current: Errno { Errno(rawValue: Glibc.errno) }
}
