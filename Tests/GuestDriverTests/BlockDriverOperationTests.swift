import BlockBackend
import TestSupport
import Testing
import Virtqueue

@testable import GuestDriver

/// Requests without a payload, from a driver to a real file.
struct BlockDriverOperationTests {
    @Test(arguments: [VirtioFeatures(), .packedRing, [.packedRing, .indirectDescriptors]])
    func discardsZeroesAndFlushes(features: VirtioFeatures) throws {
        var bench = try DriverBench(
            features, fill: 0x77, queueSize: 16, requestCountMax: 4, payloadByteCountMax: 4096)
        func run(
            _ operation: BlockOperation, sector: UInt64, _ bench: inout DriverBench
        ) throws -> BlockStatus {
            #expect(try bench.driver.submit(operation, sector: sector, tag: sector))
            _ = bench.driver.publish()
            for _ in 0..<10_000 {
                _ = try bench.device.fetch()
                try bench.device.submitAndWait(minimumCompletionCount: bench.device.isIdle ? 0 : 1)
                _ = bench.device.reap()
                _ = bench.device.publish()
                if let end = try bench.driver.nextCompletion() {
                    #expect(end.tag == sector && end.writtenByteCount == 0)
                    return end.status
                }
            }
            return .ioError
        }
        let zeroes = BlockOperation.writeZeroes(sectorCount: 8, mayUnmap: false)
        #expect(try run(zeroes, sector: 16, &bench) == .ok)
        let unmapped = BlockOperation.writeZeroes(sectorCount: 3, mayUnmap: true)
        #expect(try run(unmapped, sector: 101, &bench) == .ok)
        #expect(try run(.flush, sector: 0, &bench) == .ok)
        #expect(try run(.discard(sectorCount: 8), sector: 1024, &bench) == .ok)
        #expect(try run(.discard(sectorCount: 2), sector: 2047, &bench) == .ioError)
        #expect(try run(.read, sector: 0, &bench) == .ok)
        var expected = [UInt8](repeating: 0x77, count: 1 << 20)
        for index in 16 * 512..<24 * 512 { expected[index] = 0 }
        for index in 101 * 512..<104 * 512 { expected[index] = 0 }
        var found = try bench.file.contents()
        found.replaceSubrange(
            1024 * 512..<1032 * 512, with: expected[1024 * 512..<1032 * 512])
        #expect(found == expected)
    }
}
