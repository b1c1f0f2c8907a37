/// What a pool is made like; all limits are fixed here.
public struct PoolConfiguration: Sendable {
    /// Slot size and segment length.
    public var geometry = PoolGeometry.standard
    /// Parts of the pool in which threads allocate without meeting each other: one a thread is
    /// best. `nil` for as many as there are processors. Each area has room for the longest
    /// mapping in each extent, so a small window may get fewer. At most 4096.
    public var areaCount: Int?
    /// Extents that the pool may grow to, 1 to 256. The window's addresses are laid out for as many
    /// (``BouncePool/address(ofExtent:)``).
    public var extentCountMax = 1
    /// Mappers that may exist at once, 1 to 4096; about 5 KiB of memory each.
    public var mapperCountMax = 64
    /// Reservations that may wait at once (``BouncePool/reserve(_:deadline:_:)``), 1 or more.
    public var waiterCountMax = 4096
    public var copyBack = CopyBackPolicy.clamped
    public var scrub = ScrubPolicy.never

    public init() {}
}

/// How much of a mapping from the device is copied back, and what that means for the copy in.
public enum CopyBackPolicy: Sendable {
    /// The bytes that the device reported. The caller has checked the report: one longer than the
    /// mapping traps.
    case trusted
    /// The bytes that the device reported, at most all of the mapping; a report longer than that,
    /// or a negative one, is counted (``PoolStatistics/overreportCount``). A device that reports
    /// more than it wrote, within the mapping, makes old contents of the slots appear in the
    /// buffer: see ``ScrubPolicy``, and ``prefill``.
    case clamped
    /// All of the mapping, whatever is reported, and every mapping is copied in first, so what the
    /// device did not write stays as it was: Linux's rule (`swiotlb_tbl_map_single`), for devices
    /// whose reports mean nothing. Costs a second copy.
    case prefill
}

/// When the bytes of slots are cleared.
public enum ScrubPolicy: Sendable {
    /// Never, as in Linux: a slot keeps what its last mapping left in it, for the device to see,
    /// and for a driver whose device reports more bytes than it wrote.
    case never
    /// When slots are freed. What a mapping put into the window is gone with it.
    case onFree
    /// When slots are mapped for another owner than the one who had them last. The owners of a pool
    /// never meet each other's bytes; each meets its own.
    case onOwnerChange
}
