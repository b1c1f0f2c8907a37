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
    /// Guest memory and window.
    var wholeMap: MemoryMap {
        do {
            return try MemoryMap(guestMap.regions + windowMap.regions)
        } catch {
            preconditionFailure("the window is above guest memory")
        }
    }
    var floor: CopyFloor { CopyFloor(guest: guest, window: window) }

    init(guest: HostMemory, window: HostMemory) {
        self.guest = guest
        self.window = window
    }

    /// - Parameter sharesGuest: whether guest memory can be given to another process.
    init(
        _ common: CommonOptions, sharesGuest: Bool = false, logger: Logger
    ) throws(SystemCallError) {
        let pages: HostMemory.Pages = common.hugePages ? .transparentHuge : .base
        let byteCount = common.guestMemory.byteCount
        guest =
            sharesGuest
            ? try HostMemory.window(
                byteCount: byteCount, pages: pages, name: "guest-memory", logger: logger)
            : try HostMemory.anonymous(byteCount: byteCount, pages: pages)
        window = try HostMemory.window(
            byteCount: common.window.byteCount, pages: common.hugePages ? .reservedHuge : .base,
            logger: logger)
        guest.fill(at: 0, byteCount: guest.byteCount, with: 0xA5)
        window.fill(at: 0, byteCount: window.byteCount, with: 0)
    }
}
