import SharedMemory
import Synchronization
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

/// The device as its transport sees it, with threads and events.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockDeviceTests {
    static let formats: [VirtioFeatures] = [
        [.blockFlush], [.blockFlush, .eventIndex], [.blockFlush, .packedRing],
        [.blockFlush, .packedRing, .eventIndex],
    ]

    static func configuration(
        poll: Int = 50, queueCount: Int = 1
    ) -> BlockDevice.Configuration {
        var configuration = BlockDevice.Configuration()
        configuration.pollMicroseconds = poll
        configuration.queueCount = queueCount
        return configuration
    }

    static func withDevice(
        poll: Int = 50, queueCount: Int = 1, _ body: (BlockDevice) throws -> Void
    ) throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            try body(
                BlockDevice(
                    storage: storage,
                    configuration: configuration(poll: poll, queueCount: queueCount)))
        }
    }

    @Test("Asleep or polling, every request ends", arguments: formats, [0, 50, 20_000])
    func requests(format: VirtioFeatures, poll: Int) throws {
        try Self.withDevice(poll: poll) { device in
            var bench = try DeviceBench(features: format)
            try device.startQueue(0, bench.setup())
            for round in 0..<200 {
                for slot in 0..<8 {
                    bench.submit(
                        slot & 1 == 0 ? BlockHeader.read : BlockHeader.write,
                        sector: UInt64(slot) * 8, slot: slot)
                    if round % 3 > 0 { bench.publish() }
                }
                bench.publish()
                var ended: Set<Int> = []
                while ended.count < 8 {
                    let slot = try #require(try bench.wait(), "round \(round)")
                    ended.insert(slot)
                    #expect(bench.status(slot) == 0)
                }
            }
            let statistics = device.statistics[0]
            #expect(statistics.readCount == 800 && statistics.writeCount == 800)
            #expect(statistics.failedCount == 0 && statistics.faultCount == 0)
            #expect(statistics.callCount > 0 && statistics.callCount <= 1600)
            if poll == 0 {
                #expect(statistics.pollHitCount == 0 && statistics.pollMissCount == 0)
            } else if poll == 20_000 {
                // A shorter poll may always be too short on a busy machine.
                #expect(statistics.pollHitCount > 0)
            }
            let position = device.stopQueue(0)
            #expect(position?.available == Self.position(1600, format, 3))
            #expect(position?.used == position?.available)
            #expect(device.stopQueue(0) == nil)
        }
    }

    /// Where a queue of 64 is after some buffers, of so many descriptors each if it is packed.
    private static func position(_ count: Int, _ format: VirtioFeatures, _ parts: Int) -> UInt16 {
        guard format.contains(.packedRing) else { return UInt16(truncatingIfNeeded: count) }
        let lap = count * parts / 64
        return UInt16(count * parts % 64) | (lap & 1 == 0 ? 0x8000 : 0)
    }

    @Test("A queue goes on where it was stopped", arguments: formats)
    func restart(format: VirtioFeatures) throws {
        try Self.withDevice { device in
            var bench = try DeviceBench(features: format)
            var position: QueuePosition?
            for round in 0..<50 {
                var setup = bench.setup(at: position)
                setup.startsUnkicked = true
                // What was made available while nobody was there needs no kick.
                bench.submit(BlockHeader.read, sector: 0, slot: 0)
                _ = bench.driver.publish()
                try device.startQueue(0, setup)
                #expect(throws: QueueStartFailure.unavailable) {
                    try device.startQueue(0, setup)
                }
                #expect(try bench.wait() == 0, "round \(round)")
                #expect(try bench.run(BlockHeader.write, sector: 8, slot: 1) == 0)
                position = device.stopQueue(0)
                #expect(position != nil)
            }
            #expect(device.statistics[0].readCount == 50)
            #expect(device.statistics[0].writeCount == 50)
        }
    }

    @Test("Before the first kick nothing is taken")
    func firstKick() throws {
        try Self.withDevice { device in
            var bench = try DeviceBench(features: [.blockFlush])
            bench.submit(BlockHeader.read, sector: 0, slot: 0)
            _ = bench.driver.publish()
            try device.startQueue(0, bench.setup())
            #expect(try bench.wait(milliseconds: 100) == nil)
            #expect(device.statistics[0].requestCount == 0)
            bench.kick.signal()
            #expect(try bench.wait() == 0)
            #expect(device.stopQueue(0)?.available == 1)
        }
    }

    @Test("A queue without a kick is polled, and stops at once")
    func polled() throws {
        try Self.withDevice(poll: 0) { device in
            var bench = try DeviceBench()
            var setup = bench.setup()
            setup.kick = nil
            try device.startQueue(0, setup)
            for round in 0..<100 {
                bench.submit(BlockHeader.read, sector: 0, slot: 0)
                _ = bench.driver.publish()
                #expect(try bench.wait() == 0, "round \(round)")
            }
            let start = ContinuousClock.now
            #expect(device.statistics[0].kickCount == 0)
            #expect(device.statistics[0].requestCount == 100)
            #expect(device.stopQueue(0)?.available == 100)
            #expect(start.duration(to: .now) < .seconds(30))
        }
    }

    @Test("A long poll ends when the control plane wants something")
    func longPoll() throws {
        try Self.withDevice(poll: 120_000_000) { device in
            var bench = try DeviceBench()
            try device.startQueue(0, bench.setup())
            #expect(try bench.run(BlockHeader.read, sector: 0) == 0)
            let start = ContinuousClock.now
            for _ in 0..<20 { #expect(device.statistics[0].readCount == 1) }
            #expect(device.stopQueue(0)?.available == 1)
            #expect(start.duration(to: .now) < .seconds(60))
        }
    }

    @Test("A busy queue asks for no kicks")
    func suppression() throws {
        try Self.withDevice(poll: 50_000) { device in
            var bench = try DeviceBench()
            try device.startQueue(0, bench.setup())
            for round in 0..<2000 {
                bench.submit(BlockHeader.read, sector: 0, slot: round % 8)
                bench.publish()
                if round >= 7 { _ = try #require(try bench.wait()) }
            }
            #expect(bench.kicks < 1000)
            #expect(device.statistics[0].kickCount <= bench.kicks)
            _ = device.stopQueue(0)
        }
    }

    @Test("A refused request is answered at once, asleep or not", arguments: [0, 50])
    func refused(poll: Int) throws {
        try Self.withDevice(poll: poll) { device in
            var bench = try DeviceBench()
            try device.startQueue(0, bench.setup())
            for round in 0..<20 {
                #expect(try bench.run(77, sector: 0) == 2, "round \(round)")
                #expect(try bench.run(BlockHeader.write, sector: 1 << 40) == 1)
                #expect(try bench.run(BlockHeader.read, sector: 0) == 0)
            }
            _ = device.stopQueue(0)
        }
    }

    @Test func queuesOfTheirOwn() throws {
        try Self.withDevice(queueCount: 4) { device in
            let failures = Atomic(0)
            onThreads(4) { index in
                do {
                    var bench = try DeviceBench(features: Self.formats[index])
                    try device.startQueue(index, bench.setup())
                    for _ in 0..<300 {
                        for slot in 0..<4 {
                            bench.submit(BlockHeader.read, sector: UInt64(slot * 8), slot: slot)
                        }
                        bench.publish()
                        for _ in 0..<4 where try bench.wait() == nil {
                            failures.add(1, ordering: .relaxed)
                        }
                    }
                    _ = device.stopQueue(index)
                } catch {
                    failures.add(1, ordering: .relaxed)
                }
            }
            #expect(failures.load(ordering: .relaxed) == 0)
            #expect(device.statistics.map(\.readCount) == [1200, 1200, 1200, 1200])
        }
    }
}
