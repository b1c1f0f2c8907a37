public import SharedMemory

/// The log of pages that a device has written, which a frontend reads while it migrates a guest
/// (`VHOST_USER_SET_LOG_BASE`): one bit for each page of 4096 bytes of guest-physical addresses.
///
/// **Threading.** Any thread.
public final class DirtyLog: Sendable {
    private let memory: HostMemory
    private let offset: Int
    private let byteCount: Int

    /// - Parameters:
    ///   - memory: where the log is, shared with the frontend.
    ///   - offset: where in it the log begins.
    ///   - byteCount: its length.
    /// - Precondition: that part lies inside `memory`.
    public init(memory: HostMemory, offset: Int, byteCount: Int) {
        precondition(
            offset >= 0 && byteCount >= 0 && offset <= memory.byteCount
                && byteCount <= memory.byteCount - offset, "the log lies inside its memory")
        self.memory = memory
        self.offset = offset
        self.byteCount = byteCount
    }

    /// The page size of the log, whatever the machine's (`VHOST_LOG_PAGE`).
    public static let pageByteCount = 4096

    /// Notes that a range was written. Pages past the end of the log are left out (CVE-2020-10722):
    /// the frontend sized it, and cannot ask for more.
    public func mark(_ range: GuestRange) {
        guard range.byteCount > 0 else { return }
        let first = range.address.rawValue / UInt64(Self.pageByteCount)
        let (end, overflow) = range.address.rawValue.addingReportingOverflow(
            UInt64(range.byteCount - 1))
        let last = min(
            (overflow ? .max : end) / UInt64(Self.pageByteCount), UInt64(byteCount) &* 8 &- 1)
        guard byteCount > 0, first <= last else { return }
        for page in first...last {
            memory.setBits(1 << UInt8(page % 8), at: offset + Int(page / 8))
        }
    }
}
