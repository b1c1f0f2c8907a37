/// What a pool, or one owner's part of it, did and holds.
///
/// Each mapper counts for itself, so that no two threads write a cache line. Exact while no mapper
/// is in a call. Of one owner: what its mappers did, so a mapping that another's mapper ended counts as
/// ended there; without reservations and coherent memory, which count for the pool as a whole.
public struct PoolStatistics: Equatable, Sendable {
    /// Slots of the pool (`io_tlb_nslabs`), of all its extents.
    public var slotCount = 0
    /// Slots that are not free: in mappings, pads included, whoever holds them; in coherent
    /// allocations and reservations (`io_tlb_used`).
    public var usedSlotCount = 0
    /// The highest number of slots in mappings (not in reservations or coherent memory) since the last
    /// reset
    /// (`io_tlb_used_hiwater`): each mapper's own highest, added up. Exact where one mapper made
    /// them; an upper bound otherwise, because the highest sum could be told only by a counter that
    /// all threads share.
    public var highWaterSlotCount = 0
    /// Of ``usedSlotCount``, the slots in quarantine.
    public var quarantinedSlotCount = 0
    /// Of ``usedSlotCount``, the slots of coherent allocations.
    public var coherentSlotCount = 0
    /// Mappings made.
    public var mapCount = 0
    /// Mappings ended.
    public var unmapCount = 0
    /// Maps refused, by reason.
    public var refusals = RefusalCounts()
    /// Mappings that another area than the mapper's own served.
    public var spillCount = 0
    /// Bytes copied into the window, at map and at sync for device.
    public var copiedInByteCount = 0
    /// Bytes copied out of the window, at unmap and at sync for CPU.
    public var copiedOutByteCount = 0
    /// Bytes cleared by the scrub policy.
    public var scrubbedByteCount = 0
    /// Unmaps whose used length was negative or longer than the mapping.
    public var overreportCount = 0
    /// Reservations that wait.
    public var waiterCount = 0
    /// Reservations that were granted, at once or after waiting.
    public var grantedCount = 0
    /// The longest that a reservation has waited before it was granted.
    public var longestWait = Duration.zero

    public init() {}

    /// Maps refused for any reason.
    public var refusalCount: Int { MapRefusal.Reason.allCases.reduce(0) { $0 + refusals[$1] } }
}

/// A number for each reason of ``MapRefusal``.
public struct RefusalCounts: Equatable, Sendable {
    private var counts = [Int](repeating: 0, count: MapRefusal.Reason.allCases.count)

    public init() {}

    public subscript(reason: MapRefusal.Reason) -> Int {
        get { counts[reason.rawValue] }
        set { counts[reason.rawValue] = newValue }
    }
}
