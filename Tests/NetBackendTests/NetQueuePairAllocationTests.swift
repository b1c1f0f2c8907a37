import AllocationCounter
import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

/// A pair does not allocate for a frame. (For one that it refuses the test library does: it keeps a
/// backtrace of whatever is thrown.) Counted in an optimised build, as `make test` makes.
@Suite(
    .enabled(if: Machine.hasUring, "io_uring is not permitted here"),
    .enabled(if: allocation_counter_works(), "allocations cannot be counted here"),
    .enabled(if: isOptimizedBuild, "an unoptimised build allocates where the code does not"))
struct NetQueuePairAllocationTests {
    @Test(arguments: [VirtioFeatures(), .packedRing, .netMergeableBuffers])
    func loopback(features: VirtioFeatures) throws {
        var bench = try PairBench(LoopbackPort(), features: features)
        let header = bench.put(NetHeader().bytes)
        let (whole, frame) = (bench.put(NetHeader().bytes + frameBytes(200)), frameBytes(200))
        let pieces = [header, bench.put(frame)]
        let one = [whole]
        let small = [bench.room(100)]
        let large = [bench.room(1000)]
        let isMergeable = features.contains(.netMergeableBuffers)
        var failureCount = 0
        func cycle(_ bench: inout PairBench<LoopbackPort>) throws {
            if !bench.transmit.add(one.span, readableCount: 1, tag: 0) { failureCount += 1 }
            if !bench.transmit.add(pieces.span, readableCount: 2, tag: 0) { failureCount += 1 }
            _ = bench.transmit.publish()
            for _ in 0..<3 where isMergeable {
                _ = bench.receive.add(small.span, readableCount: 0, tag: 0)
            }
            _ = bench.receive.add(large.span, readableCount: 0, tag: 0)
            if !isMergeable { _ = bench.receive.add(large.span, readableCount: 0, tag: 0) }
            _ = bench.receive.publish()
            _ = try bench.pair.turn()
            while try bench.transmit.nextUsed() != nil {}
            while try bench.receive.nextUsed() != nil {}
        }
        for _ in 0..<100 { try cycle(&bench) }
        let before = allocation_counter_read()
        for _ in 0..<5000 { try cycle(&bench) }
        let count = allocation_counter_read() - before
        #expect(count == 0)
        #expect(failureCount == 0)
        #expect(bench.pair.totalStatistics.receive.frameCount == 2 * 5100)
    }
}
