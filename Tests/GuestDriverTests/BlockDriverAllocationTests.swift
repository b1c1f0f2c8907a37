import AllocationCounter
import BlockBackend
import SharedMemory
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
        var bench = try DriverBench(
            features, queueSize: 64, requestCountMax: 16, payloadByteCountMax: 16384)
        var failureCount = 0
        func cycle(_ number: Int) throws {
            for slot in 0..<8 {
                let payload = GuestRange(
                    address: GuestAddress(UInt64(slot * 16384)), byteCount: 8192)
                let isMade =
                    switch (number + slot) % 4 {
                    case 0: try bench.driver.submit(.read, sector: 0, payload: payload, tag: 1)
                    case 1: try bench.driver.submit(.write, sector: 8, payload: payload, tag: 1)
                    case 2: try bench.driver.submit(.flush, tag: 1)
                    default:
                        try bench.driver.submit(
                            .writeZeroes(sectorCount: 8, mayUnmap: false), sector: 64, tag: 1)
                    }
                if !isMade { failureCount += 1 }
            }
            _ = bench.driver.publish()
            _ = try bench.device.fetch()
            while !bench.device.isIdle {
                try bench.device.submitAndWait()
                _ = bench.device.reap()
            }
            _ = bench.device.publish()
            while let end = try bench.driver.nextCompletion() {
                if end.status != .ok { failureCount += 1 }
            }
            if bench.driver.inflightCount > 0 { failureCount += 1 }
        }
        for number in 0..<100 { try cycle(number) }
        let before = allocation_counter_read()
        for number in 0..<5_000 { try cycle(number) }
        let count = allocation_counter_read() - before
        #expect(count == 0)
        #expect(failureCount == 0)
    }
}
