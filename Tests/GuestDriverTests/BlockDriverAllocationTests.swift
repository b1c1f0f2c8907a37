import AllocationCounter
import BlockBackend
import SharedMemory
import SwiotlbPool
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import GuestDriver

@Suite(
    .enabled(if: allocation_counter_works(), "allocations cannot be counted here"),
    .enabled(if: isOptimizedBuild, "an unoptimised build allocates for every access of a row"))
struct BlockDriverAllocationTests {
    @Test(
        "From the driver to the storage and back, nothing is allocated",
        arguments: [
            VirtioFeatures(), .packedRing, [.indirectDescriptors, .eventIndex],
        ])
    func roundTrip(features: VirtioFeatures) throws {
        let file = try TemporaryFile([UInt8](repeating: 0, count: 1 << 20))
        let storage = try BlockStorage(
            path: FilePath("/proc/self/fd/\(file.descriptor.rawValue)"), options: .buffered)
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let base = GuestAddress(1 << 40)
        let pool = try BouncePool(
            window: window, at: base, privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let layout = BlockDriverLayout(
            queueSize: 64, isPacked: features.contains(.packedRing),
            usesTables: features.contains(.indirectDescriptors), requestCountMax: 16)
        var driver = try BlockDriver(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features, payloadByteCountMax: 16384)
        var device = try BlockQueue(
            storage: storage,
            setup: QueueSetup(
                configuration: driver.queueConfiguration,
                memoryMap: MemoryMap(window, at: base),
                position: .start(isPacked: layout.queue.isPacked), kick: nil, call: nil))
        var failureCount = 0
        func cycle(_ number: Int) throws {
            for slot in 0..<8 {
                let payload = GuestRange(
                    address: GuestAddress(UInt64(slot * 16384)), byteCount: 8192)
                let isMade =
                    switch (number + slot) % 4 {
                    case 0: try driver.submit(.read, sector: 0, payload: payload, tag: 1)
                    case 1: try driver.submit(.write, sector: 8, payload: payload, tag: 1)
                    case 2: try driver.submit(.flush, tag: 1)
                    default:
                        try driver.submit(
                            .writeZeroes(sectorCount: 8, mayUnmap: false), sector: 64, tag: 1)
                    }
                if !isMade { failureCount += 1 }
            }
            _ = driver.publish()
            _ = try device.fetch()
            while !device.isIdle {
                try device.submitAndWait()
                _ = device.reap()
            }
            _ = device.publish()
            while let end = try driver.nextCompletion() {
                if end.status != .ok { failureCount += 1 }
            }
            if driver.inflightCount > 0 { failureCount += 1 }
        }
        for number in 0..<100 { try cycle(number) }
        let before = allocation_counter_read()
        for number in 0..<5_000 { try cycle(number) }
        let count = allocation_counter_read() - before
        #expect(count == 0)
        #expect(failureCount == 0)
        withExtendedLifetime(file) {}
    }
}
