import BlockBackend
import Logging
import SharedMemory
import SwiotlbPool

/// Everything that a block measurement runs on: guest memory, the window and its pool, the storage, and
/// a closed loop for each path.
final class BlockStand {
    let guest: HostMemory
    let window: HostMemory
    let pool: BouncePool
    let storage: BlockStorage
    private(set) var loops: [BlockPath: any PathLoop] = [:]

    /// Where the window is in guest-physical addresses: far above guest memory.
    static let windowBase = GuestAddress(1 << 45)

    init(
        storage: BlockStorage, paths: [BlockPath], depthMax: Int, blockByteCountMax: Int,
        common: CommonOptions, logger: Logger
    ) throws {
        let pages = common.hugePages ? HostMemory.Pages.transparentHuge : .base
        guest = try HostMemory.anonymous(byteCount: common.guestMemory.byteCount, pages: pages)
        window = try HostMemory.window(
            byteCount: common.window.byteCount,
            pages: common.hugePages ? .reservedHuge : .base, logger: logger)
        // Every page present before anything is timed.
        guest.fill(at: 0, byteCount: guest.byteCount, with: 0xA5)
        window.fill(at: 0, byteCount: window.byteCount, with: 0)
        let guestMap = MemoryMap(guest, at: GuestBuffers.base)
        let windowMap = MemoryMap(window, at: Self.windowBase)
        pool = BouncePool(window: window, at: Self.windowBase, privateMemory: guestMap)
        self.storage = storage
        for path in paths {
            var configuration = BlockEngine.Configuration()
            configuration.requestCountMax = depthMax
            configuration.registersMemory = path.registersMemory
            let engine = try BlockEngine(
                storage: storage, memoryMap: path.bounces ? windowMap : guestMap,
                configuration: configuration, logger: logger)
            loops[path] =
                path.bounces
                ? Loop(
                    mapper: pool.makeMapper(), engine: engine, depthMax: depthMax,
                    blockByteCountMax: blockByteCountMax)
                : Loop(
                    mapper: IdentityMapper(), engine: engine, depthMax: depthMax,
                    blockByteCountMax: blockByteCountMax)
        }
    }

    /// Measures the floor of a case: the payload's copy alone, by `memcpy`, between the same spread of
    /// guest buffers and as many slots as the case has under way.
    ///
    /// - Returns: CPU nanoseconds per block.
    func floor(_ plan: BlockCase, buffers: inout GuestBuffers, seconds: Double) -> Double {
        let slotSpacing = (plan.blockByteCount + 4095) & ~4095
        let slotCount = min(plan.depth, window.byteCount / slotSpacing)
        var count = 0
        let begin = threadCPUNanoseconds()
        let deadline = begin + UInt64(seconds * 1e9)
        var now = begin
        while now < deadline {
            for slot in 0..<max(slotCount, 16) {
                let buffer = buffers.next()
                let windowOffset = (slot % slotCount) * slotSpacing
                let guestOffset = Int(buffer.address.rawValue - GuestBuffers.base.rawValue)
                let writes = plan.pattern.isMixed ? slot & 1 == 0 : plan.pattern.writes
                if writes {
                    window.copy(
                        at: windowOffset, from: guest, at: guestOffset,
                        byteCount: buffer.byteCount)
                } else {
                    guest.copy(
                        at: guestOffset, from: window, at: windowOffset,
                        byteCount: buffer.byteCount)
                }
                count += 1
            }
            now = threadCPUNanoseconds()
        }
        return Double(now - begin) / Double(count)
    }
}

/// A closed loop, whatever its mapper.
protocol PathLoop: AnyObject {
    var latencies: LatencyHistogram { get }
    var usesFixedBuffers: Bool { get }
    var registrationRefusal: SystemCallError? { get }
    var ringFlagNames: [String] { get }

    func reset()
    func run(
        _ plan: BlockCase, buffers: inout GuestBuffers, source: inout RequestSource,
        seconds: Double, measures: Bool
    ) throws -> RoundSample
}

/// Holds a closed loop in place; called once a round.
private final class Loop<Mapper: DMAMapper & ~Copyable>: PathLoop {
    private var loop: ClosedLoop<Mapper>
    let usesFixedBuffers: Bool
    let registrationRefusal: SystemCallError?
    let ringFlagNames: [String]

    init(
        mapper: consuming Mapper, engine: consuming BlockEngine, depthMax: Int,
        blockByteCountMax: Int
    ) {
        usesFixedBuffers = engine.usesFixedBuffers
        registrationRefusal = engine.registrationRefusal
        ringFlagNames = engine.ringFlagNames
        loop = ClosedLoop(
            mapper: mapper, engine: engine, depthMax: depthMax,
            blockByteCountMax: blockByteCountMax)
    }

    var latencies: LatencyHistogram { loop.latencies }

    func reset() {
        loop.reset()
    }

    func run(
        _ plan: BlockCase, buffers: inout GuestBuffers, source: inout RequestSource,
        seconds: Double, measures: Bool
    ) throws -> RoundSample {
        try loop.run(
            plan, buffers: &buffers, source: &source, seconds: seconds, measures: measures)
    }
}
