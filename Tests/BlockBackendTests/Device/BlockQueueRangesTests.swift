import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

/// Discards, zeroes, and what durability costs.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockQueueRangesTests {
    @Test(arguments: [Place.diskDirect, .tmpfsBuffered], [0, 1] as [UInt32])
    func zeroesInSeveralRanges(place: Place, flags: UInt32) throws {
        try place.withStorage(byteCount: 1 << 20) { storage, path in
            var bench = try QueueBench(storage: storage)
            var expected = initialBytes(1 << 20)
            let ranges: [(UInt64, UInt32)] = [(0, 8), (9, 1), (100, 0), (64, 32), (2047, 1)]
            var bytes: [UInt8] = []
            for (sector, count) in ranges {
                bytes += segmentBytes(sector, count, flags: flags)
                for index in Int(sector) * 512..<(Int(sector) + Int(count)) * 512 {
                    expected[index] = 0
                }
            }
            let source = bench.put(bytes)
            #expect(try bench.run(BlockHeader.writeZeroes, reads: [source]) == (0, 1))
            #expect(firstDifference(try readFile(path, byteCount: 1 << 20), expected) == nil)
            #expect(bench.queue.statistics.discardCount == 1)
        }
    }

    @Test func discardsLeaveTheRestAlone() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, path in
            var bench = try QueueBench(storage: storage)
            let source = bench.put(segmentBytes(8, 8) + segmentBytes(1024, 16))
            #expect(try bench.run(BlockHeader.discard, reads: [source]) == (0, 1))
            var file = try readFile(path, byteCount: 1 << 20)
            var expected = initialBytes(1 << 20)
            // What is read of a discarded range does not matter.
            for range in [4096..<8192, 524_288..<532_480] {
                file.replaceSubrange(range, with: expected[range])
                expected.replaceSubrange(range, with: expected[range])
            }
            #expect(firstDifference(file, expected) == nil)
        }
    }

    @Test(arguments: [
        segmentBytes(2048, 1), segmentBytes(2047, 2), segmentBytes(.max, 1),
        segmentBytes(1 << 55, 1), segmentBytes(0, .max), segmentBytes(0, 1025),
        segmentBytes(0, 1) + segmentBytes(2048, 1),
    ])
    func rangesThatCannotBe(bytes: [UInt8]) throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, path in
            var settings = BlockQueue.Configuration()
            settings.rangeSectorCountMax = 1024
            var bench = try QueueBench(storage: storage, settings: settings)
            let source = bench.put(bytes)
            #expect(try bench.run(BlockHeader.discard, reads: [source]) == (1, 1))
            #expect(try bench.run(BlockHeader.writeZeroes, reads: [source]) == (1, 1))
            let file = try readFile(path, byteCount: 1 << 20)
            #expect(
                firstDifference(Array(file[512...]), Array(initialBytes(1 << 20)[512...])) == nil)
        }
    }

    @Test func unknownFlagsDoNothing() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, path in
            var bench = try QueueBench(storage: storage)
            for (type, flags) in [(BlockHeader.discard, 1), (BlockHeader.writeZeroes, 2)] {
                let source = bench.put(
                    segmentBytes(0, 8) + segmentBytes(8, 8, flags: UInt32(flags)))
                #expect(try bench.run(type, reads: [source]) == (2, 1))
            }
            #expect(firstDifference(try readFile(path, byteCount: 8192), initialBytes(8192)) == nil)
        }
    }

    @Test("Written through, a change ends after one more operation, its flush")
    func writeThrough() throws {
        try Place.diskDirect.withStorage(byteCount: 1 << 20) { storage, _ in
            let cache = BlockCacheMode(isWriteback: false)
            var bench = try QueueBench(storage: storage, cache: cache)
            let header = bench.put(headerBytes(BlockHeader.write))
            let data = bench.put([UInt8](repeating: 5, count: 4096), alignment: 4096)
            let zeroes = bench.put(
                headerBytes(BlockHeader.writeZeroes) + segmentBytes(0, 8) + segmentBytes(8, 8))
            let status = bench.put([0xEE])
            /// How many operations a request takes.
            func operations(_ parts: [GuestRange], _ bench: inout QueueBench) throws -> Int {
                bench.add(parts, readable: parts.count - 1)
                #expect(try bench.queue.fetch() == 1)
                for count in 1...10 {
                    try bench.queue.submitAndWait()
                    if bench.queue.reap() == 1 {
                        _ = bench.queue.publish()
                        _ = try bench.driver.nextUsed()
                        #expect(bench.bytes(status) == [0])
                        return count
                    }
                }
                throw NotEnqueued()
            }
            #expect(try operations([header, data, status], &bench) == 2)
            #expect(try operations([zeroes, status], &bench) == 3)
            cache.isWriteback = true
            #expect(try operations([header, data, status], &bench) == 1)
            #expect(try operations([zeroes, status], &bench) == 2)
        }
    }
}
