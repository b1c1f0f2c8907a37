import BasicContainers
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
/// (``makeMapper(area:owner:constraints:)``). All state that steers it is private memory: whatever a
/// peer writes into the window, it can spoil payloads and nothing else.
///
/// Behaves as Linux's swiotlb does (`kernel/dma/swiotlb.c`) where this documentation says nothing
/// else. It differs on purpose in three points: only bytes reported as written are copied out, so a
/// mapping from the device needs no copy in (``CopyBackPolicy``); the slots freed last are handed
/// out first, so that payloads stay in cache; and a free run is found without walking.
///
/// One pool is for devices that trust each other: each of their backends can read and write all of
/// the window.
///
/// **Threading.** Any thread may use any method.
public final class BouncePool: Sendable {
    /// The device's address of the window's first byte.
    public let windowAddress: GuestAddress
    /// Where the driver's buffers may be.
    public let privateMemory: MemoryMap
    public let configuration: PoolConfiguration
    /// Parts of the pool in which threads allocate without meeting each other.
    public var areaCount: Int { layout.areaCount }

    let layout: PoolLayout
    let allocator: SlotAllocator
    let table: SlotTable
    let gate: PoolGate
    /// The places of mappers, used or not.
    let mappers: [MapperState]
    /// The owner that had each slot last; `nil` unless the scrub policy asks.
    let lastOwners: SlotOwners?
    /// Tells this pool's mappings and tokens from those of the next 254.
    let number: UInt8
    /// Tells this pool's owners from those of all others.
    let identity: Int
    let registry: Mutex<Registry>
    let waiters: WaitQueue
    /// Slots of all extents.
    let presentSlotCount = Atomic(0)
    /// Slots of mappings that were given up while the device may still write to them.
    let quarantinedSlotCount = Atomic(0)
    let coherentSlotCount = Atomic(0)
    /// Slots that extents which are going away have taken out of use.
    let drainingSlotCount = Atomic(0)
    /// Quarantined mappings that ended otherwise than by an unmap.
    let quarantineEndCount = Atomic(0)
    let madeAtMilliseconds = BouncePool.coarseMilliseconds()
    /// The owner of mappers that are given none.
    public let defaultOwner: PoolOwner

    /// What changes seldom, under a lock.
    struct Registry {
        /// The memory of each extent, by index; `nil` where there is none.
        var extents: [HostMemory?]
        /// Extents that are going away: their slots are being taken.
        var draining: Set<Int> = []
        /// The owner of each mapper index that was ever used.
        var owners: [PoolOwner] = []
        /// Whether a mapper of that index exists.
        var isLive: [Bool] = []
        var nextArea = 0
        /// What mappers did whose places were taken over since.
        var retired = PoolStatistics()
        var ownerCount: UInt16 = 1
        /// How often the high-water marks were reset.
        var resetCount = 0
    }

    private static let poolCount = Atomic(0)

    /// - Parameters:
    ///   - window: the memory that the device sees: the pool's first extent. A positive multiple of
    ///     a segment (``PoolGeometry/segmentByteCount``).
    ///   - windowAddress: where the device sees it, a multiple of a segment.
    ///   - privateMemory: what the driver's buffers are translated by.
    /// - Throws: ``PoolError`` where a parameter is not as described.
    public init(
        window: HostMemory, at windowAddress: GuestAddress, privateMemory: MemoryMap,
        configuration: PoolConfiguration = PoolConfiguration()
    ) throws(PoolError) {
        let geometry = configuration.geometry
        let segment = geometry.segmentByteCount
        guard window.byteCount > 0, window.byteCount % segment == 0 else {
            throw .notWholeSegments(segmentByteCount: segment)
        }
        guard windowAddress.rawValue % UInt64(segment) == 0 else {
            throw .misalignedWindow(segmentByteCount: segment)
        }
        guard (1...256).contains(configuration.extentCountMax),
            (1...4096).contains(configuration.mapperCountMax), configuration.waiterCountMax >= 1,
            configuration.areaCount.map({ (1...4096).contains($0) }) ?? true
        else { throw .unsupportedConfiguration }
        layout = PoolLayout(
            geometry: geometry, extentByteCount: window.byteCount,
            extentCountMax: configuration.extentCountMax,
            areaCount: configuration.areaCount ?? max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1))
        let span = UInt64(layout.slotLimit) * UInt64(geometry.slotByteCount)
        guard layout.slotLimit <= PoolLayout.slotCountMax,
            span <= UInt64.max - windowAddress.rawValue, windowAddress.rawValue >> 63 == 0
        else { throw .windowTooLarge }
        self.windowAddress = windowAddress
        self.privateMemory = privateMemory
        self.configuration = configuration
        allocator = SlotAllocator(layout: layout)
        // 1 to 255: 0 is what identity mappings have.
        identity = Self.poolCount.wrappingAdd(1, ordering: .relaxed).oldValue
        number = UInt8(identity % 255 + 1)
        table = SlotTable(slotLimit: layout.slotLimit, pool: number)
        gate = PoolGate()
        mappers = (0..<configuration.mapperCountMax).map { _ in MapperState() }
        lastOwners =
            configuration.scrub == .onOwnerChange ? SlotOwners(slotLimit: layout.slotLimit) : nil
        var extents = [HostMemory?](repeating: nil, count: configuration.extentCountMax)
        extents[0] = window
        registry = Mutex(Registry(extents: extents))
        waiters = WaitQueue(
            limit: configuration.waiterCountMax, allocator: allocator, table: table,
            mappers: mappers, gate: gate)
        defaultOwner = PoolOwner(name: "default", quotaSlotCount: nil, number: 0)
        addSlots(ofExtent: 0)
    }

    deinit {
        waiters.close()
    }

    /// Makes a mapper: one thread's way into the pool.
    ///
    /// - Parameters:
    ///   - area: where its mappings come from first, below ``areaCount``; `nil` to take turns.
    ///   - owner: whom its mappings belong to, from ``makeOwner(name:quotaSlotCount:)``; `nil` for
    ///     ``defaultOwner``.
    ///   - constraints: how the device needs its buffers to lie.
    /// - Throws: ``PoolError`` where there is no such area, the owner is another pool's, or
    ///   ``PoolConfiguration/mapperCountMax`` mappers exist.
    public func makeMapper(
        area: Int? = nil, owner: PoolOwner? = nil, constraints: DMAConstraints = DMAConstraints()
    ) throws(PoolError) -> BounceMapper {
        guard area.map({ $0 >= 0 && $0 < areaCount }) ?? true else {
            throw .noSuchArea(areaCount: areaCount)
        }
        let owner = owner ?? defaultOwner
        guard owner === defaultOwner || owner.pool == identity else {
            throw .foreignOwner
        }
        let (index, area) = try registry.withLock { registry throws(PoolError) in
            let index = try takePlace(for: owner, &registry)
            defer { if area == nil { registry.nextArea = (registry.nextArea + 1) % areaCount } }
            return (index, area ?? registry.nextArea)
        }
        waiters.mapperLimit.store(index + 1)
        return BounceMapper(
            pool: self, index: index, area: area, owner: owner, constraints: constraints)
    }

    /// A place in the tables of mappers: an unused one, else that of a mapper that is gone and whose
    /// mappings are all ended.
    private func takePlace(
        for owner: PoolOwner, _ registry: inout Registry
    ) throws(PoolError) -> Int {
        let count = registry.owners.count
        for index in 0..<count where !registry.isLive[index] {
            guard mappers[index].liveSlotCount == 0 else { continue }
            mappers[index].add(to: &registry.retired)
            registry.owners[index].retire(mappers[index], resetCount: registry.resetCount)
            mappers[index].reset()
            registry.owners[index] = owner
            registry.isLive[index] = true
            mappers[index].belong(to: owner)
            return index
        }
        guard count < configuration.mapperCountMax else {
            throw .tooManyMappers(maximum: configuration.mapperCountMax)
        }
        registry.owners.append(owner)
        mappers[count].belong(to: owner)
        registry.isLive.append(true)
        return count
    }

    /// A mapper is gone: its cached runs are freed.
    func retire(mapper index: Int) {
        if mappers[index].caches.collect(into: allocator, table: table) {
            serveWaiters()
        }
        registry.withLock { $0.isLive[index] = false }
    }

    /// Gives slots that the caller holds back to the bitmap, and what waits for slots a chance.
    func free(_ run: SlotRun, _ state: RunState) {
        table.store(state.with(.free), at: run.first)
        allocator.release(run)
        // The release was a read-modify-write: a full barrier.
        if gate.hasWaiters { serveWaiters() }
    }

    /// Why no run was found; a snapshot.
    ///
    /// - Parameter claimedSlotCount: slots that are claimed and not counted as a mapping's yet.
    func shortage(_ request: SlotRequest, claimedSlotCount: Int) -> MapRefusal {
        var free = presentSlotCount.load(ordering: .relaxed)
        free -= coherentSlotCount.load(ordering: .relaxed) + waiters.reservedSlotCount
        free -= drainingSlotCount.load(ordering: .relaxed) + claimedSlotCount
        for index in 0..<waiters.mapperLimit.current {
            free -= mappers[index].liveSlotCount
        }
        return free < request.slotCount
            ? .exhausted(freeSlotCount: max(free, 0))
            : .fragmented(longestFreeRunSlotCount: allocator.longestFreeRun)
    }

    /// Slots of a mapping are not its owner's any more.
    func giveQuota(_ count: Int, ofMapper index: Int) {
        guard mappers[index].ownerHasQuota.load(ordering: .relaxed) else { return }
        registry.withLock { $0.owners[index] }.give(count)
    }

    /// Clears slots that the caller holds.
    func clear(_ run: SlotRun) {
        let extent = run.first >> layout.extentShift
        memory(ofExtent: extent)?.fill(
            at: (run.first - extent << layout.extentShift) * layout.geometry.slotByteCount,
            byteCount: run.count * layout.geometry.slotByteCount, with: 0)
    }

    func serveWaiters() {
        waiters.serve()
    }

    /// Claims a run: in the preferred area, in others, and then also among those that mappers have
    /// cached.
    func claim(
        _ request: SlotRequest, preferring area: Int, for mapper: MapperState? = nil
    ) -> Int? {
        defer { if gate.hasWaiters { serveWaiters() } }
        return waiters.claim(request, preferring: area, for: mapper)
    }
}
