import BlockBackend
import Logging
import SharedMemory
import SwiotlbPool

/// Everything that a block measurement runs on: guest memory, the window and its pool, the storage,
/// and a closed loop for each path.
final class BlockStand {
    let memories: Memories
    let storage: BlockStorage
    private(set) var loops: [BlockPath: any PathLoop] = [:]

    init(
        storage: BlockStorage, paths: [BlockPath], depthMax: Int, blockByteCountMax: Int,
        memories: Memories
    ) throws {
        // What a fall-back means here, the command says once for all paths.
        let silent = Logger(label: "perfbench", factory: { _ in SwiftLogNoOpLogHandler() })
        self.memories = memories
        let pool = try BouncePool(
            window: memories.window, at: Memories.windowBase, privateMemory: memories.guestMap)
        self.storage = storage
        for path in paths {
            var configuration = BlockEngine.Configuration()
            configuration.requestCountMax = depthMax
            configuration.registersMemory = path.registersMemory
            let engine = try BlockEngine(
                storage: storage,
                memoryMap: path.bounces ? memories.windowMap : memories.guestMap,
                configuration: configuration, logger: silent)
            loops[path] =
                path.bounces
                ? Loop(
                    mapper: try pool.makeMapper(), engine: engine, depthMax: depthMax,
                    blockByteCountMax: blockByteCountMax)
                : Loop(
                    mapper: IdentityMapper(), engine: engine, depthMax: depthMax,
                    blockByteCountMax: blockByteCountMax)
        }
    }
}

/// A closed loop, whatever its mapper.
protocol PathLoop: AnyObject {
    var latencies: LatencyHistogram { get }
    var usesFixedBuffers: Bool { get }
    var registrationRefusal: SystemCallError? { get }
    var ringFlagNames: [String] { get }

    func reset()
    func perform(_ operation: BlockOperation, sector: UInt64, buffer: GuestRange) throws
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

    func perform(_ operation: BlockOperation, sector: UInt64, buffer: GuestRange) throws {
        try loop.perform(operation, sector: sector, buffer: buffer)
    }

    func run(
        _ plan: BlockCase, buffers: inout GuestBuffers, source: inout RequestSource,
        seconds: Double, measures: Bool
    ) throws -> RoundSample {
        try loop.run(
            plan, buffers: &buffers, source: &source, seconds: seconds, measures: measures)
    }
}
