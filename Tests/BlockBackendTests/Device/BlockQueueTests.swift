import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

/// One request after another, on real files.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockQueueTests {
    static let places: [Place] = [.diskDirect, .tmpfsBuffered]
    static let formats: [VirtioFeatures] = [.blockFlush, [.blockFlush, .packedRing]]

    @Test(arguments: places, formats)
    func writtenBytesAreReadBack(place: Place, format: VirtioFeatures) throws {
        try place.withStorage(byteCount: 1 << 20) { storage, path in
            var bench = try QueueBench(storage: storage, features: format)
            var random = SeededGenerator(seed: 3)
            // Aligned and not, in one part and in several.
            for (alignment, counts) in [
                (4096, [4096]), (512, [512, 1024]), (1, [512]), (1, [100, 412, 1024]),
            ] {
                let bytes = counts.map { random.bytes($0) }
                let all = Array(bytes.joined())
                let sources = bytes.map { bench.put($0, alignment: alignment) }
                let written = try bench.run(BlockHeader.write, sector: 8, reads: sources)
                #expect(written == (0, 1))
                let file = try readFile(path, byteCount: 1 << 20)
                #expect(Array(file[4096..<4096 + all.count]) == all)
                let targets = counts.map { bench.room($0, alignment: alignment) }
                let read = try bench.run(BlockHeader.read, sector: 8, writes: targets)
                #expect(read == (0, all.count + 1))
                #expect(targets.flatMap { bench.bytes($0) } == all)
            }
            let flushed = try bench.run(BlockHeader.flush)
            #expect(flushed == (0, 1))
            let statistics = bench.queue.statistics
            #expect(statistics.readCount == 4 && statistics.writeCount == 4)
            #expect(statistics.flushCount == 1 && statistics.failedCount == 0)
            #expect(statistics.requestCount == 9)
        }
    }

    @Test("What cannot be transferred is an I/O error, and nothing of it counts as written")
    func transfersThatCannotBe() throws {
        try Place.diskDirect.withStorage(byteCount: 1 << 20) { storage, path in
            var bench = try QueueBench(storage: storage)
            let before = try readFile(path, byteCount: 1 << 20)
            let outside = GuestRange(0x1000, 512)
            let border = GuestRange(QueueBench.base.rawValue + (4 << 20) - 256, 512)
            for (sector, length) in [
                (0, 511), (0, 513), (2047, 1024), (2048, 512), (UInt64.max, 512),
                (1 << 55, 512), (UInt64.max / 512, 512),
            ] as [(UInt64, Int)] {
                let target = bench.put([UInt8](repeating: 0xEE, count: length))
                let read = try bench.run(BlockHeader.read, sector: sector, writes: [target])
                #expect(read == (1, 0), "sector \(sector), \(length) bytes")
                #expect(bench.bytes(target) == [UInt8](repeating: 0xEE, count: length))
                let written = try bench.run(BlockHeader.write, sector: sector, reads: [target])
                #expect(written == (1, 1), "sector \(sector), \(length) bytes")
            }
            for range in [outside, border] {
                let inside = bench.put([UInt8](repeating: 0xEE, count: 512))
                let read = try bench.run(BlockHeader.read, writes: [inside, range])
                #expect(read == (1, 0))
                #expect(bench.bytes(inside) == [UInt8](repeating: 0xEE, count: 512))
                #expect(try bench.run(BlockHeader.write, reads: [inside, range]).status == 1)
            }
            #expect(try bench.run(77).status == 2)
            #expect(firstDifference(try readFile(path, byteCount: 1 << 20), before) == nil)
            #expect(bench.queue.statistics.failedCount == 19)
            #expect(bench.queue.statistics.refusedCount == 1)
            // And the queue serves on.
            #expect(try bench.run(BlockHeader.flush) == (0, 1))
        }
    }

    @Test func aReadOnlyDeviceRefusesChanges() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20, readOnly: true) { storage, path in
            var bench = try QueueBench(storage: storage)
            let data = bench.put([UInt8](repeating: 1, count: 512))
            #expect(try bench.run(BlockHeader.write, reads: [data]) == (1, 1))
            let range = bench.put(segmentBytes(0, 8))
            #expect(try bench.run(BlockHeader.discard, reads: [range]) == (1, 1))
            #expect(try bench.run(BlockHeader.writeZeroes, reads: [range]) == (1, 1))
            #expect(try bench.run(BlockHeader.flush) == (0, 1))
            #expect(try bench.run(BlockHeader.read, writes: [data]) == (0, 513))
            #expect(try readFile(path, byteCount: 512) == bench.bytes(data))
            #expect(bench.bytes(data) == initialBytes(512))
        }
    }

    @Test(arguments: [0, 1, 8, 19, 20, 21, 64])
    func identifier(length: Int) throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            var settings = BlockQueue.Configuration()
            settings.identifier = "a name of twenty-two by"
            var bench = try QueueBench(storage: storage, settings: settings)
            let (first, second) = (length / 3, length - length / 3)
            let parts = [first, second].map {
                bench.put([UInt8](repeating: 0xEE, count: $0))
            }
            let found = try bench.run(BlockHeader.identify, writes: parts)
            #expect(found == (0, length <= 20 ? length + 1 : 20))
            let name = Array("a name of twenty-two by".utf8.prefix(20))
            #expect(
                parts.flatMap { bench.bytes($0) }
                    == Array((name + [UInt8](repeating: 0xEE, count: 44)).prefix(length)))
        }
    }

    @Test func aShortIdentifierIsFilledUp() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            var bench = try QueueBench(storage: storage)
            let target = bench.put([UInt8](repeating: 0xEE, count: 20))
            #expect(try bench.run(BlockHeader.identify, writes: [target]) == (0, 21))
            #expect(bench.bytes(target) == Array("bounce".utf8) + [UInt8](repeating: 0, count: 14))
            let outside = GuestRange(0x1000, 20)
            #expect(try bench.run(BlockHeader.identify, writes: [outside]) == (1, 0))
        }
    }

    @Test func headerDataAndStatusInOnePartEach() throws {
        try Place.diskDirect.withStorage(byteCount: 1 << 20) { storage, path in
            var bench = try QueueBench(storage: storage)
            let data = SeededBytes.some(1024)
            let request = bench.put(headerBytes(BlockHeader.write, sector: 4) + data)
            let status = bench.put([0xEE])
            #expect(try bench.run([request, status], readable: 1) == 1)
            #expect(bench.bytes(status) == [0])
            #expect(Array(try readFile(path, byteCount: 4096)[2048..<3072]) == data)
            // The status in the last byte of what is read into.
            let header = bench.put(headerBytes(BlockHeader.read, sector: 4))
            let target = bench.put([UInt8](repeating: 0xEE, count: 1025))
            #expect(try bench.run([header, target], readable: 1) == 1025)
            #expect(bench.bytes(target) == data + [0])
        }
    }

    @Test("Requests that wait for room are all served", arguments: formats)
    func moreThanTheTableHas(format: VirtioFeatures) throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            var settings = BlockQueue.Configuration()
            settings.requestCountMax = 3
            var bench = try QueueBench(
                storage: storage, size: 64, features: format, settings: settings)
            let header = bench.put(headerBytes(BlockHeader.read))
            let statuses = (0..<20).map { _ in bench.put([0xEE]) }
            for (tag, status) in statuses.enumerated() {
                let data = bench.room(512)
                bench.add([header, data, status], readable: 1, tag: UInt64(tag))
            }
            var ended: Set<UInt64> = []
            for _ in 0..<10_000 where ended.count < 20 {
                #expect(try bench.queue.fetch() <= 3)
                try bench.turn()
                while let used = try bench.driver.nextUsed() {
                    #expect(used.writtenByteCount == 513)
                    ended.insert(used.tag)
                }
            }
            #expect(ended.count == 20)
            #expect(statuses.allSatisfy { bench.bytes($0) == [0] })
        }
    }
}

enum SeededBytes {
    static func some(_ count: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 99)
        return random.bytes(count)
    }
}
