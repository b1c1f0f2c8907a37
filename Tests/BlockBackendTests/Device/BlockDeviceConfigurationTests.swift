import SharedMemory
import Testing
import Virtqueue

@testable import BlockBackend

@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockDeviceConfigurationTests {
    @Test func whatADriverReads() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            var configuration = BlockDeviceTests.configuration(queueCount: 3)
            configuration.queueSizeMax = 256
            let device = BlockDevice(storage: storage, configuration: configuration)
            let bytes = try #require(device.configuration(at: 0, byteCount: 60))
            let space = BlockConfiguration(bytes: bytes)
            #expect(space.sectorCount == 2048)
            #expect(space.segmentCountMax == 126 && space.segmentByteCountMax == 1 << 20)
            #expect(space.blockByteCount == 512 && space.physicalBlockExponent == 3)
            #expect(space.ioBlockCountMin == 8 && space.queueCount == 3 && space.isWriteback)
            #expect(space.discardSegmentCountMax == 32 && space.zeroesSegmentCountMax == 32)
            #expect(space.discardSectorCountMax == 1 << 22 && space.zeroesSectorCountMax == 1 << 22)
            #expect(space.discardSectorAlignment == 1 && space.zeroesMayUnmap)
            // Any part; zeroes behind the end.
            for offset in 0..<60 {
                #expect(
                    device.configuration(at: offset, byteCount: 4)
                        == Array((bytes + [0, 0, 0, 0])[offset..<offset + 4]))
            }
            #expect(device.configuration(at: 59, byteCount: 256)?.count == 256)
            #expect(device.configuration(at: 0, byteCount: 0) == [])
            #expect(device.configuration(at: 60, byteCount: 1) == nil)
            #expect(device.configuration(at: -1, byteCount: 1) == nil)
            #expect(device.queueCountMax == 3 && device.queueSizeMax == 256)
        }
    }

    @Test(
        "Requests fit into a queue that has no indirect descriptors",
        arguments: [
            (2, 1), (4, 2), (64, 62), (128, 126), (1024, 126),
        ])
    func segments(queueSize: Int, count: UInt32) throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            var configuration = BlockDevice.Configuration()
            configuration.queueSizeMax = queueSize
            let device = BlockDevice(storage: storage, configuration: configuration)
            let bytes = try #require(device.configuration(at: 0, byteCount: 60))
            #expect(BlockConfiguration(bytes: bytes).segmentCountMax == count)
        }
    }

    @Test func onlyTheCacheModeCanBeWritten() throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20) { storage, _ in
            let device = BlockDevice(storage: storage)
            let before = device.configuration(at: 0, byteCount: 60)
            for offset in -1..<70 where offset != 32 {
                #expect(!device.setConfiguration([1], at: offset))
            }
            #expect(!device.setConfiguration([2], at: 32))
            #expect(!device.setConfiguration([], at: 32))
            #expect(!device.setConfiguration([1, 0], at: 32))
            #expect(device.configuration(at: 0, byteCount: 60) == before)
            #expect(device.setConfiguration([0], at: 32))
            #expect(device.configuration(at: 32, byteCount: 1) == [0])
            #expect(device.setConfiguration([1], at: 32))
            #expect(device.configuration(at: 32, byteCount: 1) == [1])
            #expect(device.setConfiguration([0], at: 32))
            device.reset()
            #expect(device.configuration(at: 32, byteCount: 1) == [1])
        }
    }

    @Test(arguments: [false, true]) func features(readOnly: Bool) throws {
        try Place.tmpfsBuffered.withStorage(byteCount: 1 << 20, readOnly: readOnly) { storage, _ in
            let device = BlockDevice(storage: storage)
            let always: VirtioFeatures = [
                .version1, .accessPlatform, .packedRing, .indirectDescriptors, .eventIndex,
                .logAll, .blockSizeMax, .blockSegmentMax, .blockSize, .blockTopology, .blockFlush,
                .blockConfigWriteback, .blockMultiqueue,
            ]
            #expect(
                device.features
                    == always.union(
                        readOnly ? .blockReadOnly : [.blockDiscard, .blockWriteZeroes]))
            let bytes = try #require(device.configuration(at: 0, byteCount: 60))
            let space = BlockConfiguration(bytes: bytes)
            #expect((space.discardSegmentCountMax == 0) == readOnly)
            #expect((space.zeroesSegmentCountMax == 0) == readOnly)
        }
    }

    @Test("Without a flush to ask for, writes are durable when they end", arguments: [true, false])
    func withoutFlush(canFlush: Bool) throws {
        try BlockDeviceTests.withDevice { device in
            let flush: VirtioFeatures = canFlush ? .blockFlush : []
            var bench = try DeviceBench(features: flush.union(.blockConfigWriteback))
            try device.startQueue(0, bench.setup())
            #expect(try bench.run(BlockHeader.write, sector: 0) == 0)
            #expect(device.setConfiguration([0], at: 32))
            #expect(try bench.run(BlockHeader.write, sector: 0) == 0)
            #expect(device.statistics[0].writeThroughCount == (canFlush ? 1 : 2))
            _ = device.stopQueue(0)
        }
    }

    private static func inflight(
        _ memory: HostMemory, features: VirtioFeatures
    ) -> InflightRegion? {
        InflightRegion(
            memory: memory, offset: 0, queueSize: 64, isPacked: features.contains(.packedRing))
    }

    @Test(
        "A driver that writes through does so with the next process as well",
        arguments: [[], .packedRing] as [VirtioFeatures])
    func cacheModeOutlivesTheProcess(format: VirtioFeatures) throws {
        let features = format.union([.blockFlush, .blockConfigWriteback])
        let memory = try HostMemory.anonymous(byteCount: 4096)
        let region = Self.inflight(memory, features: features)
        var bench = try DeviceBench(features: features)
        var position: QueuePosition?
        // What each process finds chosen, and what the driver chooses then.
        for (found, chosen) in [(1, 0), (0, nil), (0, 1), (1, nil)] as [(UInt8, UInt8?)] {
            try BlockDeviceTests.withDevice { device in
                var setup = bench.setup(at: position)
                setup.inflight = region
                try device.startQueue(0, setup)
                #expect(try bench.run(BlockHeader.write, sector: 0) == 0)
                #expect(device.statistics[0].writeThroughCount == (found == 0 ? 1 : 0))
                #expect(device.configuration(at: 32, byteCount: 1) == [found])
                if let chosen {
                    #expect(device.setConfiguration([chosen], at: 32))
                    #expect(region?.note == 1 - chosen)
                }
                position = device.stopQueue(0)
            }
        }
    }

    @Test("A driver that cannot choose is not bound by what another has chosen")
    func cacheModeOfOthers() throws {
        try BlockDeviceTests.withDevice { device in
            #expect(device.setConfiguration([0], at: 32))
            var bench = try DeviceBench(features: .blockFlush)
            try device.startQueue(0, bench.setup())
            #expect(try bench.run(BlockHeader.write, sector: 0) == 0)
            #expect(device.statistics[0].writeThroughCount == 0)
            _ = device.stopQueue(0)
        }
    }
}
