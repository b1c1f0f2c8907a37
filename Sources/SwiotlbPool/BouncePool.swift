import Glibc
public import SharedMemory
import Synchronization

/// A swiotlb-style pool: the slots of a window, through which payloads bounce.
///
/// ```
/// private memory ── map: copy in ──▶ slots of the window ◀──▶ device
///                ◀─ unmap: copy out ─
/// ```
///
/// The pool is what threads share; each of them maps through a ``BounceMapper`` of its own
/// (``makeMapper(area:constraints:)``). All state that steers it is private memory: whatever a peer
/// writes into the window, it can spoil payloads and nothing else.
///
/// Behaves as Linux's swiotlb does (`kernel/dma/swiotlb.c`) where this documentation says nothing
/// else. It differs on purpose in three points: only bytes reported as written are copied out, so a
/// mapping from the device needs no copy in; the slots freed last are handed out first, so that
/// payloads stay in cache; and a free run is found without walking.
public final class BouncePool: Sendable {
    /// The shared memory that the slots are in; all of it.
    public let window: HostMemory
    /// The device's address of the window's first byte.
    public let windowAddress: GuestAddress
    /// Where the driver's buffers may be.
    public let privateMemory: MemoryMap
    /// Parts of the pool in which threads allocate without meeting each other.
    public let areaCount: Int

    let bitmap: SlotBitmap
    let segmentsPerArea: Int
    /// The number of the first slot, counted from device address 0.
    let firstSlotNumber: Int

    private let mappers = Mutex(MapperList())

    private struct MapperList {
        var live: [MapperCounters] = []
        var retired = PoolStatistics()
        var nextArea = 0
    }

    /// - Parameters:
    ///   - window: at least one slot long.
    ///   - windowAddress: a multiple of ``PoolGeometry/segmentByteCount``; the window ends before the
    ///     last address.
    ///   - privateMemory: what the driver's buffers are translated by.
    ///   - areaCount: one a thread is best. `nil` for as many as there are processors. Each area
    ///     has at least one segment, so a small window may get fewer.
    public init(
        window: HostMemory, at windowAddress: GuestAddress, privateMemory: MemoryMap,
        areaCount: Int? = nil
    ) {
        precondition(
            window.byteCount >= PoolGeometry.slotByteCount, "a window has room for one slot")
        precondition(
            windowAddress.rawValue % UInt64(PoolGeometry.segmentByteCount) == 0,
            "a window begins at a multiple of a segment")
        precondition(
            UInt64(window.byteCount) <= UInt64.max - windowAddress.rawValue,
            "a window lies inside the address space")
        self.window = window
        self.windowAddress = windowAddress
        self.privateMemory = privateMemory
        bitmap = SlotBitmap(slotCount: window.byteCount / PoolGeometry.slotByteCount)
        firstSlotNumber = Int(windowAddress.rawValue / UInt64(PoolGeometry.slotByteCount))
        let wanted = max(areaCount ?? sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1)
        segmentsPerArea = max(bitmap.segmentCount / wanted, 1)
        self.areaCount = min(wanted, bitmap.segmentCount)
    }

    /// Makes a mapper: one thread's way into the pool.
    ///
    /// - Parameters:
    ///   - area: where its mappings come from first, below ``areaCount``; `nil` to take turns.
    ///   - constraints: how the device needs its buffers to lie.
    public func makeMapper(
        area: Int? = nil, constraints: DMAConstraints = DMAConstraints()
    ) -> BounceMapper {
        precondition(area.map { $0 >= 0 && $0 < areaCount } ?? true, "the area exists")
        let counters = MapperCounters()
        let area = mappers.withLock { list in
            list.live.append(counters)
            defer { list.nextArea = (list.nextArea + 1) % areaCount }
            return area ?? list.nextArea
        }
        return BounceMapper(pool: self, area: area, constraints: constraints, counters: counters)
    }

    /// The statistics of all mappers together. Takes a lock and looks at the whole bitmap: for
    /// reports.
    public var statistics: PoolStatistics {
        var total = mappers.withLock { list in
            var total = list.retired
            for counters in list.live { counters.add(to: &total) }
            return total
        }
        total.slotCount = bitmap.slotCount
        total.usedSlotCount = bitmap.slotCount - bitmap.measure().freeSlotCount
        return total
    }

    /// Keeps what a mapper has counted when it goes.
    func retire(_ counters: MapperCounters) {
        mappers.withLock { list in
            counters.add(to: &list.retired)
            list.live.removeAll { $0 === counters }
        }
    }

    /// The segments of an area. The last one also has what an even division leaves over.
    func segments(ofArea area: Int) -> Range<Int> {
        let first = area * segmentsPerArea
        return first..<(area == areaCount - 1 ? bitmap.segmentCount : first + segmentsPerArea)
    }
}
