import BlockBackend
import GuestDriver
import Logging
import SharedMemory
import SwiotlbPool
import SystemPackage
import Virtqueue

/// Everything that a block measurement runs on: guest memory, the window and its pool, the storage,
/// and a closed loop for each lane.
final class BlockStand {
    let memories: Memories
    let storageByteCount: UInt64
    private(set) var loops: [BlockLane: PathLoop] = [:]
    private let pool: BouncePool
    private let depthMax: Int
    private let blockByteCountMax: Int
    /// Notices of the libraries go nowhere: the command says once for all lanes what they mean here.
    private let silent = Logger(label: "perfbench", factory: { _ in SwiftLogNoOpLogHandler() })

    /// - Parameters:
    ///   - storage: for lanes in this process.
    ///   - backend: for lanes that go through another process.
    init(
        storage: BlockStorage?, backend: BackendProcess?, storageByteCount: UInt64,
        lanes: [BlockLane], depthMax: Int, blockByteCountMax: Int, isPacked: Bool,
        memories: Memories
    ) throws {
        self.memories = memories
        self.storageByteCount = storageByteCount
        self.depthMax = depthMax
        self.blockByteCountMax = blockByteCountMax
        pool = try BouncePool(
            window: memories.window, at: Memories.windowBase, privateMemory: memories.guestMap)
        let setting = BlockQueueSetting(
            isPacked: isPacked, requestCountMax: depthMax, payloadByteCountMax: blockByteCountMax)
        for lane in lanes {
            switch lane.via {
            case .engine:
                guard let storage else { continue }
                loops[lane] = try engineLoop(lane.path, storage)
            case .virtqueue:
                guard let storage else { continue }
                loops[lane] = try queueLoop(lane.path, storage, setting)
            case .vhostUser:
                guard let backend else { continue }
                loops[lane] = socketLoop(lane.path, backend, setting)
            }
        }
    }

    /// How full the pool is while `body` runs.
    func occupancy(seconds: Double, while body: () throws -> Void) throws -> Occupancy {
        try Occupancy(of: pool, seconds: seconds, while: body)
    }

    private func engineLoop(_ path: BlockPath, _ storage: BlockStorage) throws -> PathLoop {
        var configuration = BlockEngine.Configuration()
        configuration.requestCountMax = depthMax
        configuration.registersMemory = path.registersMemory
        let engine = try BlockEngine(
            storage: storage,
            memoryMap: path.bounces ? memories.windowMap : memories.guestMap,
            configuration: configuration, logger: silent)
        let facts = PathLoop.Facts(
            usesFixedBuffers: engine.usesFixedBuffers,
            registrationRefusal: engine.registrationRefusal, ringFlagNames: engine.ringFlagNames)
        return path.bounces
            ? PathLoop(
                EngineTarget(
                    mapper: try pool.makeMapper(), engine: engine, rowCount: depthMax,
                    blockByteCountMax: blockByteCountMax), rowCount: depthMax, facts: facts)
            : PathLoop(
                EngineTarget(
                    mapper: IdentityMapper(), engine: engine, rowCount: depthMax,
                    blockByteCountMax: blockByteCountMax), rowCount: depthMax, facts: facts)
    }

    private func queueLoop(
        _ path: BlockPath, _ storage: BlockStorage, _ setting: BlockQueueSetting
    ) throws -> PathLoop {
        if path.bounces {
            let driver = try driver(of: try pool.makeMapper(), setting)
            let device = try device(path, storage, driver.queueConfiguration)
            let facts = PathLoop.Facts(usesFixedBuffers: device.usesFixedBuffers)
            return PathLoop(
                QueueTarget(driver: driver, device: device), rowCount: depthMax, facts: facts)
        }
        let driver = try driver(of: IdentityMapper(), setting)
        let device = try device(path, storage, driver.queueConfiguration)
        let facts = PathLoop.Facts(usesFixedBuffers: device.usesFixedBuffers)
        return PathLoop(
            QueueTarget(driver: driver, device: device), rowCount: depthMax, facts: facts)
    }

    private func driver<Mapper: DMAMapper & ~Copyable>(
        of mapper: consuming Mapper, _ setting: BlockQueueSetting
    ) throws -> BlockDriver<Mapper> {
        let layout = setting.layout(features: setting.features)
        return try BlockDriver(
            mapper: mapper, memory: try pool.allocateCoherent(byteCount: layout.byteCount),
            layout: layout, features: setting.features, payloadByteCountMax: blockByteCountMax)
    }

    private func device(
        _ path: BlockPath, _ storage: BlockStorage, _ queue: QueueConfiguration
    ) throws -> BlockQueue {
        var configuration = BlockQueue.Configuration()
        configuration.requestCountMax = depthMax
        configuration.registersMemory = path.registersMemory
        return try BlockQueue(
            storage: storage,
            setup: QueueSetup(
                configuration: queue, memoryMap: deviceMap(path),
                position: .start(isPacked: queue.isPacked), kick: nil, call: nil),
            configuration: configuration, logger: silent)
    }

    private func socketLoop(
        _ path: BlockPath, _ backend: BackendProcess, _ setting: BlockQueueSetting
    ) -> PathLoop {
        let pool = pool
        return path.bounces
            ? PathLoop(
                SocketTarget(
                    backend: backend, setting: setting, deviceMap: deviceMap(path), pool: pool
                ) { try pool.makeMapper() }, rowCount: depthMax)
            : PathLoop(
                SocketTarget(
                    backend: backend, setting: setting, deviceMap: deviceMap(path), pool: pool
                ) { IdentityMapper() }, rowCount: depthMax)
    }

    /// What a device behind a queue sees: the window, in which rings are on every path, and on direct
    /// ones all of guest memory.
    private func deviceMap(_ path: BlockPath) -> MemoryMap {
        path.bounces ? memories.windowMap : memories.wholeMap
    }
}
