import SharedMemory
import Synchronization
import TestSupport

@testable import SwiotlbPool

/// A pool, and beside it what it must be like: the holder of every slot, every byte of the window
/// and of private memory, and every figure that the pool tells.
///
/// Nothing here is clever: slots are looked at one by one. The model knows Linux's rules and the
/// policies; where a mapping is placed, it takes the pool's word for and checks that it may be there.
final class PoolModel {
    static let memoryAddress: UInt64 = 0x10_0000
    static let free: Int32 = 0
    static let absent: Int32 = -1
    static let draining: Int32 = -2

    let setting: ModelSetting
    /// The first thing that was wrong.
    private(set) var failure: String?
    /// How many steps lie between two looks at everything; 1 while a failure is being shrunk.
    var checkInterval = 64
    private(set) var stepCount = 0

    let pool: BouncePool
    let privateMemory: HostMemory
    let slotByteCount: Int
    let slotLimit: Int
    var owners: [PoolOwner] = []
    var mappers: [ModelMapper] = []
    var incarnations: [ModelMapper.Incarnation] = []

    // What must be.
    var holders: [Int32]
    var holdings: [ModelHolding] = []
    var extents: [HostMemory?]
    var drainingExtents: Set<Int> = []
    let window: ByteModel
    let memory: ByteModel
    /// Whose bytes each slot holds, for `ScrubPolicy.onOwnerChange`: -1 for nobody's, -2 for a
    /// stranger's.
    var lastOwners: [Int]
    var quotaUsed: [Int]
    var expected = PoolStatistics()
    var expectedOfOwner: [PoolStatistics]
    var retiredHighWater = 0
    /// Tokens that were valid once.
    var staleTokens: [MappingToken] = []
    var nextID: Int32 = 1
    /// The step that is being performed, and the number of runs that it has made.
    var current = ModelOperation(.map, 0, 0, 0, 0, number: 0)
    var runCount = 0
    /// What the step is about, for the next time that it is performed.
    var chosen: Int?
    // Reservations, in order.
    var waiting: [ModelReservation] = []
    /// Granted, and to be given back.
    var unwanted: [ModelReservation] = []
    let outcomes = OutcomeSink()

    init(_ setting: ModelSetting) throws {
        self.setting = setting
        let geometry = try PoolGeometry(
            slotByteCount: setting.slotByteCount, segmentSlotCount: setting.segmentSlotCount,
            segmentsPerMapping: setting.segmentsPerMapping)
        var configuration = PoolConfiguration()
        configuration.geometry = geometry
        configuration.areaCount = setting.areas
        configuration.extentCountMax = setting.extents
        configuration.copyBack = setting.copyBack
        configuration.scrub = setting.scrub
        configuration.mapperCountMax = 12
        configuration.waiterCountMax = 3
        let memoryByteCount = geometry.segmentByteCount * setting.segmentsPerMapping + 20_000
        privateMemory = try HostMemory.anonymous(byteCount: memoryByteCount)
        memory = ByteModel(byteCount: memoryByteCount)
        let first = try HostMemory.anonymous(
            byteCount: setting.segments * geometry.segmentByteCount)
        // An address such that boundaries fall between its segments.
        pool = try BouncePool(
            window: first, at: GuestAddress(UInt64(5 * geometry.segmentByteCount)),
            privateMemory: MemoryMap(privateMemory, at: GuestAddress(Self.memoryAddress)),
            configuration: configuration)
        slotByteCount = setting.slotByteCount
        slotLimit = pool.layout.slotLimit
        window = ByteModel(byteCount: slotLimit * setting.slotByteCount)
        holders = [Int32](repeating: Self.absent, count: slotLimit)
        extents = [HostMemory?](repeating: nil, count: setting.extents)
        lastOwners = [Int](repeating: -2, count: slotLimit)
        quotaUsed = [Int](repeating: 0, count: setting.quotas.count + 1)
        expectedOfOwner = [PoolStatistics](
            repeating: PoolStatistics(), count: setting.quotas.count + 1)
        extents[0] = first
        for slot in pool.layout.slots(ofExtent: 0) { holders[slot] = Self.free }
        owners = [pool.defaultOwner]
        for (number, quota) in setting.quotas.enumerated() {
            owners.append(try pool.makeOwner(name: "owner \(number + 1)", quotaSlotCount: quota))
        }
        for setting in setting.mappers {
            let mapper = ModelMapper(setting, try makeMapper(setting))
            mappers.append(mapper)
            incarnations.append(mapper.incarnation)
        }
    }

    func makeMapper(_ setting: ModelSetting.Mapper) throws(PoolError) -> BounceMapper {
        try pool.makeMapper(
            area: min(setting.area, pool.areaCount - 1), owner: owners[setting.owner],
            constraints: setting.constraints)
    }

    func fail(_ message: @autoclosure () -> String) {
        if failure == nil { failure = "step \(stepCount): \(message())" }
    }

    func require(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition { fail(message()) }
    }

    /// - Returns: the step with its target.
    @discardableResult
    func perform(_ operation: ModelOperation) -> ModelOperation {
        begin(operation)
        settleReservations()
        checkSometimes()
        var performed = operation
        performed.target = operation.target ?? chosen
        return performed
    }

    private func checkSometimes() {
        guard failure == nil else { return }
        if stepCount % min(checkInterval, 16) == 0 { checkStatistics() }
        if stepCount % checkInterval == 0 { checkSlots() }
        if stepCount % (checkInterval * 8) == 0 { checkBytes() }
    }

    /// The origin of a run that the current step makes.
    func makeOrigin() -> Int {
        defer { runCount += 1 }
        return current.number << 10 | runCount
    }

    /// The place of the holding that the current step is about.
    func choose(
        _ number: Int, among count: Int = 8, _ suits: (ModelHolding.Kind) -> Bool
    ) -> Int? {
        if let target = current.target {
            return holdings.firstIndex { $0.origin == target && suits($0.kind) }
        }
        guard !holdings.isEmpty else { return nil }
        for step in 0..<min(holdings.count, count) {
            let index = (number + step) % holdings.count
            guard suits(holdings[index].kind) else { continue }
            chosen = holdings[index].origin
            return index
        }
        return nil
    }

    private func begin(_ operation: ModelOperation) {
        stepCount += 1
        current = operation
        runCount = 0
        chosen = nil
        let by = mappers[operation.mapper % mappers.count]
        switch operation.kind {
        case .map: map(operation, by)
        case .unmap: unmap(operation, by)
        case .syncForDevice, .syncForCPU: sync(operation, by)
        case .deviceWrite: deviceWrite(operation)
        case .scribble: scribble(operation)
        case .driverWrite: driverWrite(operation)
        case .mapList: mapList(operation, by)
        case .park: park(operation, by)
        case .redeem: redeem(operation, by)
        case .redeemStale: redeemStale(operation, by)
        case .quarantine: quarantine(operation, by)
        case .quarantineToken: quarantineToken(operation, by)
        case .release: release(operation, by)
        case .quarantineParked: quarantineParked(operation)
        case .releaseQuarantine: releaseQuarantine(operation)
        case .allocateCoherent: allocateCoherent(operation)
        case .freeCoherent: freeCoherent(operation)
        case .addExtent: addExtent(operation)
        case .drain: drain(operation)
        case .cancelDrain: cancelDrain(operation)
        case .reserve: reserve(operation, by)
        case .cancelReservation: cancelReservation(operation)
        case .remakeMapper: remakeMapper(by)
        case .resetHighWater: resetHighWater()
        }
    }

    /// Looks at everything, frees everything, and looks again.
    func finish() {
        guard failure == nil else { return endAll() }
        checkStatistics()
        checkSlots()
        checkBytes()
        endAll()
        settleReservations()
        guard failure == nil else { return }
        // (2): nothing is used when all is freed.
        require(pool.statistics.usedSlotCount == 0, "slots are left over")
        checkStatistics()
        checkSlots()
        checkBytes()
        for extent in drainingExtents { try? pool.cancelDrain(extent: extent) }
        for slot in holders.indices where holders[slot] == Self.draining {
            holders[slot] = Self.free
        }
        drainingExtents = []
        checkLongest()
        // Where cached runs are collected, the bitmap itself says what the model does.
        _ = pool.waiters.collectCaches()
        for slot in holders.indices where pool.allocator.bitmap.isFree(slot) != (holders[slot] == 0)
        {
            fail("slot \(slot) of an empty pool")
        }
    }

    /// Ends what is live without looking, so that nothing traps when the model is dropped.
    private func endAll() {
        while failure == nil, let entry = waiting.first {
            require(
                entry.reservation?.cancel() == true, "a reservation that waits is not cancelled")
            settleReservations()
        }
        for entry in waiting { entry.reservation?.cancel() }
        for (number, holding) in holdings.enumerated() {
            guard failure == nil else {
                if case .mapped(let box) = holding.kind { box.take().end() }
                continue
            }
            // By turns, so that others than the makers free slots too (7).
            let by = mappers[number % mappers.count]
            switch holding.kind {
            case .mapped(let box):
                by.mapper.unmap(box.take(), usedByteCount: 0)
                didEndMapping(holding, by, copiedOut: setting.copyBack == .prefill ? .max : 0)
            case .parked(let token):
                do throws(TokenFault) {
                    by.mapper.unmap(try by.mapper.redeem(token), usedByteCount: 0)
                } catch {
                    fail("a parked token is refused: \(error)")
                }
                didEndMapping(holding, by, copiedOut: setting.copyBack == .prefill ? .max : 0)
            case .quarantined(let token):
                do throws(TokenFault) {
                    try by.mapper.release(quarantined: token)
                } catch {
                    fail("a quarantined token is refused: \(error)")
                }
                expected.quarantinedSlotCount -= holding.slots.count
                didEndMapping(holding, by, copiedOut: 0)
            case .coherent:
                didFreeCoherent(holding)
            }
        }
        holdings = []
    }
}
