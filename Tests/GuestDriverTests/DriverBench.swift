import BlockBackend
import GuestDriver
import SharedMemory
import SwiotlbPool
import SystemPackage
import TestSupport
import Virtqueue

/// A driver that bounces, and a queue of a device on a file of a megabyte, both in this thread.
struct DriverBench: ~Copyable {
    var driver: BlockDriver<BounceMapper>
    var device: BlockQueue
    let file: TemporaryFile

    init(
        _ features: VirtioFeatures, fill: UInt8 = 0, queueSize: Int, requestCountMax: Int,
        payloadByteCountMax: Int
    ) throws {
        let file = try TemporaryFile([UInt8](repeating: fill, count: 1 << 20))
        let storage = try BlockStorage(
            path: FilePath("/proc/self/fd/\(file.descriptor.rawValue)"), options: .buffered)
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let base = GuestAddress(1 << 40)
        let pool = try BouncePool(
            window: window, at: base, privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let layout = BlockDriverLayout(
            queueSize: queueSize, isPacked: features.contains(.packedRing),
            usesTables: features.contains(.indirectDescriptors), requestCountMax: requestCountMax)
        let driver = try BlockDriver(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features, payloadByteCountMax: payloadByteCountMax)
        device = try BlockQueue(
            storage: storage,
            setup: QueueSetup(
                configuration: driver.queueConfiguration,
                memoryMap: MemoryMap(window, at: base),
                position: .start(isPacked: layout.queue.isPacked), kick: nil, call: nil))
        self.driver = driver
        self.file = file
    }
}
