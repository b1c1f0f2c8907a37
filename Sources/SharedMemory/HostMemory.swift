import CLinux
import CLostMemory
import Glibc
public import SystemPackage

/// A contiguous range of memory mapped into this process: guest memory, or the window.
///
/// Another process, or a guest, may write the same bytes at any time. Nothing here therefore hands
/// out a pointer, a reference or a `Span`: bytes are copied in or out, and single words are loaded
/// or stored once (`HostMemory+Words.swift`).
///
/// **Threading.** Any thread may use any method. Concurrent copies of the same bytes are not
/// ordered and may tear; words with acquire and release ordering are how two sides agree on who
/// owns what.
///
/// **Lifetime.** The mapping ends with the object. I/O under way on a ``HostRange`` does not keep
/// it.
@safe public final class HostMemory: Sendable {
    /// What kind of pages back the memory.
    public enum Pages: String, Sendable {
        /// The base page size, 4 KiB on x86-64.
        case base
        /// Transparent huge pages: asked for by `madvise(2)`, given as the kernel sees fit.
        case transparentHuge
        /// Pages of `hugetlbfs(5)`, reserved in advance by the administrator.
        case reservedHuge
    }

    /// The length in bytes.
    public let byteCount: Int
    /// The pages obtained, which may be less than what was asked for.
    public let pages: Pages
    /// What backs the memory and can be sent to a peer, or `nil` for private memory. Owned: closed
    /// with the object.
    public let fileDescriptor: FileDescriptor?
    /// Where in ``fileDescriptor`` the memory begins, in bytes.
    public let fileOffset: Int

    /// By what the mapping is known to the guard against lost memory; -1 where it cannot be lost.
    private let lossGuard: Int32

    /// The first byte.
    ///
    /// `nonisolated(unsafe)`: the pointer itself never changes; see *Threading* for what it points
    /// at.
    @usableFromInline nonisolated(unsafe) let base: UnsafeMutableRawPointer

    /// Takes ownership of a mapping and of the descriptor behind it.
    init(
        adopting base: UnsafeMutableRawPointer, byteCount: Int, pages: Pages,
        fileDescriptor: FileDescriptor?, fileOffset: Int
    ) {
        // SAFETY: the caller hands over a live mapping of `byteCount` bytes; it is unmapped in
        // deinit.
        unsafe self.base = base
        self.byteCount = byteCount
        self.pages = pages
        self.fileDescriptor = fileDescriptor
        self.fileOffset = fileOffset
        // SAFETY: the mapping is released before it is unmapped.
        lossGuard =
            fileDescriptor.map { Self.isSealed($0) } ?? true
            ? -1 : unsafe clost_guard(base, byteCount, Self.pageByteCount(of: fileDescriptor))
    }

    deinit {
        clost_release(lossGuard)
        // SAFETY: `base` and `byteCount` describe the mapping this object owns, and nobody else has
        // it.
        unsafe munmap(base, byteCount)
        try? fileDescriptor?.close()
    }

    /// The whole memory, as the kernel is told of it.
    public var hostRange: HostRange { hostRange(offset: 0, byteCount: byteCount) }

    /// A part of the memory, as the kernel is told of it.
    ///
    /// - Precondition: the part lies inside the memory.
    public func hostRange(offset: Int, byteCount: Int) -> HostRange {
        check(offset, byteCount)
        // SAFETY: only the numeric value of the pointer is used.
        return unsafe HostRange(
            address: UInt64(UInt(bitPattern: base)) &+ UInt64(offset), byteCount: byteCount)
    }

    /// Whether the size of the memory is sealed, so that no peer can cut it short and turn an
    /// access into `SIGBUS`. False where there is no descriptor, or one that cannot be sealed.
    public var isSealed: Bool {
        fileDescriptor.map { Self.isSealed($0) } ?? false
    }

    private static func isSealed(_ fileDescriptor: FileDescriptor) -> Bool {
        let seals = fcntl(fileDescriptor.rawValue, F_GET_SEALS)
        return seals >= 0 && seals & F_SEAL_SHRINK != 0
    }

    /// Whether a peer has cut short what is behind the memory: the lost part reads as zeroes, and what
    /// is written there goes nowhere. Known once it was touched, after ``surviveLoss()``.
    public var isLost: Bool { clost_is_lost(lossGuard) != 0 }

    /// How often memories have lost something so far; one load. Where it has changed, ask them
    /// whether they are the one (``isLost``).
    public static var lossCount: UInt32 { clost_count() }

    /// Makes this process survive when a peer cuts short a file that is mapped here, instead of being
    /// ended by `SIGBUS`. For programs that map what others send; takes over that signal.
    ///
    /// - Throws: `SystemCallError` of `sigaction`.
    public static func surviveLoss() throws(SystemCallError) {
        let result = clost_install()
        guard result == 0 else {
            throw SystemCallError("sigaction", Errno(rawValue: result))
        }
    }

    /// The one bounds check of this module: traps unless the part lies inside the memory.
    @inlinable @inline(__always)
    func check(_ offset: Int, _ byteCount: Int) {
        precondition(
            offset >= 0 && byteCount >= 0 && offset <= self.byteCount
                && byteCount <= self.byteCount &- offset, "the access lies inside the memory")
    }
}
