import Logging
import SharedMemory

/// Guest memory and window of a measurement, every page of them present before anything is timed.
struct Memories {
    let guest: HostMemory
    let window: HostMemory

    /// Where the window is in guest-physical addresses: far above guest memory.
    static let windowBase = GuestAddress(1 << 45)

    var guestMap: MemoryMap { MemoryMap(guest, at: GuestBuffers.base) }
    var windowMap: MemoryMap { MemoryMap(window, at: Self.windowBase) }
    var floor: CopyFloor { CopyFloor(guest: guest, window: window) }

    init(_ common: CommonOptions, logger: Logger) throws(SystemCallError) {
        guest = try HostMemory.anonymous(
            byteCount: common.guestMemory.byteCount,
            pages: common.hugePages ? .transparentHuge : .base)
        window = try HostMemory.window(
            byteCount: common.window.byteCount, pages: common.hugePages ? .reservedHuge : .base,
            logger: logger)
        guest.fill(at: 0, byteCount: guest.byteCount, with: 0xA5)
        window.fill(at: 0, byteCount: window.byteCount, with: 0)
    }
}
