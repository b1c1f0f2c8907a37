import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

/// What a queue leaves behind for others: the log of written pages, what was under way, its end.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockQueueStateTests {
    @Test(
        "The log has the pages that were written, and no others", arguments: BlockQueueTests.places)
    func dirtyLog(place: Place) throws {
        try place.withStorage(byteCount: 1 << 20) { storage, _ in
            let log = try HostMemory.anonymous(byteCount: 4096)
            var bench = try QueueBench(storage: storage) {
                $0.dirtyLog = DirtyLog(memory: log, offset: 0, byteCount: 4096)
            }
            let header = bench.put(headerBytes(BlockHeader.read, sector: 0))
            let write = bench.put(headerBytes(BlockHeader.write, sector: 0))
            let bad = bench.put(headerBytes(BlockHeader.read, sector: 1 << 40))
            // A page between any two.
            let target = bench.room(8192, alignment: 16384)
            let second = bench.room(512, alignment: 16384)
            let status = bench.room(1, alignment: 16384)
            let source = bench.room(4096, alignment: 16384)
            func pages(_ ranges: [GuestRange]) -> [Int] {
                ranges.flatMap { range in
                    let first = Int(range.address.rawValue / 4096)
                    return Array(first..<first + max(range.byteCount / 4096, 1))
                }
            }
            func marked() -> [Int] {
                let bytes = log.bytes(at: 0, byteCount: 4096)
                log.fill(at: 0, byteCount: 4096, with: 0)
                return (0..<32768).filter { bytes[$0 / 8] >> UInt8($0 % 8) & 1 == 1 }
            }
            #expect(try bench.run([header, target, second, status], readable: 1) == 8705)
            #expect(marked() == pages([target, second, status]))
            #expect(try bench.run([write, source, status], readable: 2) == 1)
            #expect(marked() == pages([status]))
            // A part of the target alone is filled where that is all there is room for.
            let identify = bench.put(headerBytes(BlockHeader.identify))
            #expect(try bench.run([identify, second, target, status], readable: 1) == 20)
            #expect(marked() == pages([second, status]))
            #expect(try bench.run([bad, target, status], readable: 1) == 0)
            #expect(marked() == pages([target, status]))
        }
    }

    @Test(
        "What a queue left under way its successor does again", arguments: BlockQueueTests.formats)
    func resubmission(format: VirtioFeatures) throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            let isPacked = format.contains(.packedRing)
            let memory = try HostMemory.anonymous(byteCount: 1 << 16)
            let region = try #require(
                InflightRegion(memory: memory, offset: 0, queueSize: 64, isPacked: isPacked))
            var bench = try QueueBench(storage: storage, size: 64, features: format) {
                $0.inflight = region
            }
            let header = bench.put(headerBytes(BlockHeader.read, sector: 16))
            let targets = (0..<6).map { _ in bench.room(512) }
            let statuses = (0..<6).map { _ in bench.put([0xEE]) }
            for tag in 0..<6 {
                bench.add([header, targets[tag], statuses[tag]], readable: 1, tag: UInt64(tag))
            }
            // Two end as they should, two are taken, two were never seen.
            #expect(try bench.queue.fetch(atMost: 2) == 2)
            while !bench.queue.isIdle {
                try bench.queue.submitAndWait()
                _ = bench.queue.reap()
            }
            _ = bench.queue.publish()
            #expect(try bench.queue.fetch(atMost: 2) == 2)
            var setup = QueueSetup(
                configuration: bench.configuration, memoryMap: bench.map,
                position: bench.queue.position, kick: nil, call: nil)
            setup.inflight = region
            bench.queue = try BlockQueue(storage: storage, setup: setup)
            let isResumed = bench.queue.isResumed
            #expect(isResumed)
            var ended: [UInt64] = []
            for _ in 0..<1000 where ended.count < 6 {
                try bench.turn()
                while let used = try bench.driver.nextUsed() {
                    #expect(used.writtenByteCount == 513)
                    ended.append(used.tag)
                }
            }
            #expect(ended.sorted() == [0, 1, 2, 3, 4, 5])
            #expect(bench.queue.statistics.readCount == 4)
            #expect(targets.allSatisfy { bench.bytes($0) == Array(initialBytes(8704)[8192...]) })
            #expect(statuses.allSatisfy { bench.bytes($0) == [0] })
        }
    }

    @Test("A request that cannot be answered stops the queue after those before it")
    func fault() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            var bench = try QueueBench(storage: storage)
            let header = bench.put(headerBytes(BlockHeader.read))
            let status = bench.put([0xEE])
            let data = bench.room(512)
            bench.add([header, data, status], readable: 1, tag: 1)
            bench.add([header, data, GuestRange(0, 1)], readable: 1, tag: 2)
            bench.add([header, data, status], readable: 1, tag: 3)
            #expect(throws: QueueFault.unanswerableRequest) { _ = try bench.queue.fetch() }
            #expect(bench.queue.statistics.faultCount == 1)
            while !bench.queue.isIdle {
                try bench.queue.submitAndWait()
                _ = bench.queue.reap()
            }
            _ = bench.queue.publish()
            let first = try bench.driver.nextUsed()
            #expect(first?.tag == 1)
            let second = try bench.driver.nextUsed()
            #expect(second == nil)
            #expect(bench.bytes(status) == [0])
        }
    }

    @Test func aFaultOfTheRingCounts() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            var bench = try QueueBench(storage: storage, size: 16)
            // The available index, 17 ahead.
            let offset = bench.configuration.driverArea.rawValue - QueueBench.base.rawValue + 2
            bench.memory.store(17 as UInt16, at: Int(offset))
            #expect(throws: QueueFault.availableIndexOutOfRange(available: 17, next: 0)) {
                _ = try bench.queue.fetch()
            }
            #expect(bench.queue.statistics.faultCount == 1)
            let isIdle = bench.queue.isIdle
            #expect(isIdle)
        }
    }

    @Test func aQueueThatCannotBeIsRefused() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            #expect(throws: QueueStartFailure.fault(.invalidSize(48))) {
                _ = try QueueBench(storage: storage) { $0.configuration.size = 48 }
            }
            #expect(throws: QueueStartFailure.fault(.invalidAddress(area: "device"))) {
                _ = try QueueBench(storage: storage) {
                    $0.configuration.deviceArea = GuestAddress(0x1000)
                }
            }
        }
    }
}
