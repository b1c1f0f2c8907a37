import BlockBackend
import SharedMemory
import SwiotlbPool
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import GuestDriver

/// Requests without a payload, from a driver to a real file.
struct BlockDriverOperationTests {
    @Test(arguments: [VirtioFeatures(), .packedRing, [.packedRing, .indirectDescriptors]])
    func discardsZeroesAndFlushes(features: VirtioFeatures) throws {
        let file = try TemporaryFile([UInt8](repeating: 0x77, count: 1 << 20))
        let storage = try BlockStorage(
            path: FilePath("/proc/self/fd/\(file.descriptor.rawValue)"), options: .buffered)
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let base = GuestAddress(1 << 40)
        let pool = try BouncePool(
            window: window, at: base, privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let layout = BlockDriverLayout(
            queueSize: 16, isPacked: features.contains(.packedRing),
            usesTables: features.contains(.indirectDescriptors), requestCountMax: 4)
        var driver = try BlockDriver(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features, payloadByteCountMax: 4096)
        var device = try BlockQueue(
            storage: storage,
            setup: QueueSetup(
                configuration: driver.queueConfiguration,
                memoryMap: MemoryMap(window, at: base),
                position: .start(isPacked: layout.queue.isPacked), kick: nil, call: nil))
        func run(
            _ operation: BlockOperation, sector: UInt64, _ driver: inout BlockDriver<BounceMapper>,
            _ device: inout BlockQueue
        ) throws -> BlockStatus {
            #expect(try driver.submit(operation, sector: sector, tag: sector))
            _ = driver.publish()
            for _ in 0..<10_000 {
                _ = try device.fetch()
                try device.submitAndWait(minimumCompletionCount: device.isIdle ? 0 : 1)
                _ = device.reap()
                _ = device.publish()
                if let end = try driver.nextCompletion() {
                    #expect(end.tag == sector && end.writtenByteCount == 0)
                    return end.status
                }
            }
            return .ioError
        }
        let zeroes = BlockOperation.writeZeroes(sectorCount: 8, mayUnmap: false)
        #expect(try run(zeroes, sector: 16, &driver, &device) == .ok)
        let unmapped = BlockOperation.writeZeroes(sectorCount: 3, mayUnmap: true)
        #expect(try run(unmapped, sector: 101, &driver, &device) == .ok)
        #expect(try run(.flush, sector: 0, &driver, &device) == .ok)
        #expect(try run(.discard(sectorCount: 8), sector: 1024, &driver, &device) == .ok)
        #expect(try run(.discard(sectorCount: 2), sector: 2047, &driver, &device) == .ioError)
        #expect(try run(.read, sector: 0, &driver, &device) == .ok)
        var expected = [UInt8](repeating: 0x77, count: 1 << 20)
        for index in 16 * 512..<24 * 512 { expected[index] = 0 }
        for index in 101 * 512..<104 * 512 { expected[index] = 0 }
        var found = try file.contents()
        found.replaceSubrange(
            1024 * 512..<1032 * 512, with: expected[1024 * 512..<1032 * 512])
        #expect(found == expected)
    }
}
