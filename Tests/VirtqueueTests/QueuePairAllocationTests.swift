import AllocationCounter
import SharedMemory
import TestSupport
import Testing

@testable import Virtqueue

/// Neither side of a queue allocates. Counted in an optimised build, as `make test` makes.
@Suite(
    .enabled(if: allocation_counter_works(), "allocations cannot be counted here"),
    .enabled(if: isOptimizedBuild, "an unoptimised build allocates where the code does not"))
struct QueuePairAllocationTests {
    private static let features: [VirtioFeatures] = [
        [], [.eventIndex, .indirectDescriptors], .inOrder, .packedRing,
        [.packedRing, .eventIndex, .indirectDescriptors], [.packedRing, .inOrder],
    ]

    @Test(arguments: features, [false, true])
    func roundTrips(features: VirtioFeatures, isTracked: Bool) throws {
        let isPacked = features.contains(.packedRing)
        let region = InflightRegion(
            memory: try .anonymous(byteCount: 1 << 16), offset: 0, queueSize: 64,
            isPacked: isPacked)
        let log = DirtyLog(memory: try .anonymous(byteCount: 4096), offset: 0, byteCount: 4096)
        var pair = try QueuePair(size: 64, features: features, tableLength: 4)
        pair.device = try DeviceQueue(
            pair.configuration, memoryMap: pair.map, position: .start(isPacked: isPacked),
            inflight: isTracked ? region : nil, dirtyLog: isTracked ? log : nil,
            usedRingLogAddress: QueuePair.base)
        let parts = (1...3).map { GuestRange(address: GuestAddress(0x1000), byteCount: $0) }
        var failureCount = 0
        for number in 0..<100 { failureCount += try pair.cycle(number, parts.span) }
        let before = allocation_counter_read()
        for number in 0..<10_000 { failureCount += try pair.cycle(number, parts.span) }
        let count = allocation_counter_read() - before
        #expect(count == 0)
        #expect(failureCount == 0)
    }
}

extension QueuePair {
    /// Sends some buffers there and back.
    ///
    /// - Returns: how many did not come back.
    @inline(never)
    fileprivate mutating func cycle(
        _ number: Int, _ parts: Span<GuestRange>
    ) throws(QueueFault) -> Int {
        let count = 1 + number % 8
        var missing = count
        for _ in 0..<count {
            _ = driver.add(
                parts.extracting(first: 1 + number % 3), readableCount: number % 2, tag: 5)
        }
        _ = driver.publish()
        while try device.next(&chain) {
            device.use(chain.token, writtenByteCount: chain.writableByteCount * (number % 2))
        }
        _ = device.publish()
        while let buffer = try driver.nextUsed() { missing -= buffer.tag == 5 ? 1 : 0 }
        if number % 3 == 0 {
            _ = driver.enableCalls()
            _ = device.enableKicks()
        } else {
            driver.disableCalls()
            device.disableKicks()
        }
        return missing
    }
}
