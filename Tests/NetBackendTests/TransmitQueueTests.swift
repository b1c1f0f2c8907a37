import SharedMemory
import TestSupport
import Testing
import Uring
import Virtqueue

@testable import NetBackend

@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct TransmitQueueTests {
    static let formats: [VirtioFeatures] = [[], .packedRing, [.indirectDescriptors, .eventIndex]]

    @Test("A frame arrives however it is cut", arguments: formats)
    func parts(features: VirtioFeatures) throws {
        var bench = try PairBench(CapturePort(), features: features)
        let frame = frameBytes(200)
        let all = NetHeader().bytes + frame
        var random = SeededGenerator(seed: 7)
        for round in 0..<100 {
            let cuts = (0..<Int.random(in: 0...8, using: &random))
                .map { _ in Int.random(in: 0...all.count, using: &random) }.sorted()
            var parts: [GuestRange] = []
            for (from, to) in zip([0] + cuts, cuts + [all.count]) {
                parts.append(bench.put(Array(all[from..<to])))
            }
            bench.send(parts)
            #expect(try bench.pair.turn())
            #expect(try bench.sent() == 1)
            #expect(bench.pair.port.frames.count == round + 1)
            #expect(bench.pair.port.frames.last?.bytes == frame)
            #expect(bench.pair.port.frames.last?.header == NetHeader())
        }
        let statistics = bench.pair.totalStatistics.transmit
        #expect(statistics.frameCount == 100 && statistics.byteCount == 20_000)
        #expect(statistics.refusedCount == 0)
    }

    @Test("Header and frame across two regions of memory")
    func regions() throws {
        let bench = try PairBench(CapturePort())
        let memory = try HostMemory.anonymous(byteCount: 8192)
        let all = NetHeader.offload().bytes + frameBytes(100)
        // One behind the other by their addresses, far apart in memory.
        for border in [4, 12, 13, 50] {
            let map = try MemoryMap([
                MemoryMap.Region(guestAddress: PairBench<CapturePort>.base, memory: bench.memory),
                MemoryMap.Region(
                    guestAddress: GuestAddress(0x100_0000), memory: memory, memoryOffset: 4096,
                    byteCount: 4096),
                MemoryMap.Region(
                    guestAddress: GuestAddress(0x100_1000), memory: memory, byteCount: 4096),
            ])
            let (start, end) = (Array(all[..<border]), Array(all[border...]))
            memory.store(start.span, at: 8192 - border)
            memory.store(end.span, at: 0)
            var driver = try DriverQueue(
                bench.layout, at: PairBench<CapturePort>.base, features: [], memoryMap: map)
            let setup = QueueSetup(
                configuration: bench.layout.configuration(
                    at: PairBench<CapturePort>.base, features: .netChecksum),
                memoryMap: map, position: .start(isPacked: false), kick: nil, call: nil)
            bench.memory.fill(at: 0, byteCount: bench.layout.byteCount, with: 0)
            var queue = try TransmitQueue(setup, mtu: 1500)
            let range = [
                GuestRange(
                    address: GuestAddress(0x100_1000 - UInt64(border)), byteCount: all.count)
            ]
            let isAdded = driver.add(range.span, readableCount: 1, tag: 0)
            #expect(isAdded)
            _ = driver.publish()
            var port = CapturePort()
            var none: ReceiveQueue?
            var ring = try NetRing(entryCount: 1)
            #expect(try queue.take(into: &port, &none, &ring, atMost: 8) == 1)
            #expect(port.frames.map(\.bytes) == [frameBytes(100)])
            #expect(port.frames.first?.header == .offload())
        }
    }

    @Test("Bad frames are dropped for what they are, and the next one goes out", arguments: formats)
    func refusals(features: VirtioFeatures) throws {
        let features = features.union([.netMTU, .netChecksum, .netHostTSO4])
        var bench = try PairBench(CapturePort(), features: features, size: 256)
        let tcp = NetHeader.Segmentation.tcp4
        let header = bench.put(NetHeader().bytes)
        let outside = GuestRange(address: GuestAddress(0x1000), byteCount: 60)
        let border = GuestRange(
            address: PairBench<CapturePort>.address((4 << 20) - 30), byteCount: 60)
        let wrapping = GuestRange(address: GuestAddress(.max - 10), byteCount: 60)
        var longHeader = NetHeader.offload(tcp, segment: 100)
        longHeader.headerByteCount = 201
        var bare = NetHeader.offload(tcp, segment: 100)
        bare.flags = 0
        let bad: [([GuestRange], FrameRefusal)] = [
            ([bench.put([])], .noHeader),
            ([bench.put(Array(NetHeader().bytes.prefix(11)))], .noHeader),
            ([outside], .unreachable), ([header, outside], .unreachable),
            ([header, border], .unreachable), ([wrapping], .unreachable),
            ([header], .tooShort), ([header, bench.put(frameBytes(13))], .tooShort),
            ([header, bench.put(frameBytes(1519))], .tooLong),
            (
                [bench.put(NetHeader.offload(tcp, segment: 0).bytes + frameBytes(200))],
                .segmentSizeOutOfRange
            ),
            (
                [bench.put(NetHeader.offload(9, segment: 10).bytes + frameBytes(200))],
                .unknownSegmentation
            ),
            ([bench.put(bare.bytes + frameBytes(200))], .segmentationWithoutChecksum),
            ([bench.put(longHeader.bytes + frameBytes(200))], .headerLengthOutOfRange),
            (
                [bench.put(NetHeader.offload(start: 199).bytes + frameBytes(200))],
                .checksumOutOfRange
            ),
            ([header] + (0..<200).map { _ in bench.put(frameBytes(1)) }, .tooManyParts),
        ]
        var count = 0
        for (parts, refusal) in bad {
            let before = bench.pair.totalStatistics.transmit
            bench.send(parts)
            bench.sendFrame(frameBytes(60))
            count += 1
            #expect(try bench.pair.turn())
            #expect(try bench.sent() == 2)
            var expected = before
            expected[refusal] += 1
            expected.frameCount += 1
            expected.byteCount += 60
            #expect(bench.pair.totalStatistics.transmit == expected, "\(refusal)")
            #expect(bench.pair.port.frames.count == count)
        }
        #expect(bench.pair.totalStatistics.transmit.refusedCount == bad.count)
    }

    @Test("Parts to write are left alone")
    func writableParts() throws {
        var bench = try PairBench(CapturePort())
        let room = bench.room(100)
        bench.send([bench.put(NetHeader().bytes + frameBytes(60)), room], readable: 1)
        bench.send([room], readable: 0)
        #expect(try bench.pair.turn())
        #expect(bench.pair.port.frames.map(\.bytes) == [frameBytes(60)])
        #expect(bench.bytes(room) == [UInt8](repeating: 0xEE, count: 100))
        #expect(bench.pair.totalStatistics.transmit.noHeaderCount == 1)
    }

    @Test("A frame that there is no room for stays in the queue", arguments: formats)
    func fullPort(features: VirtioFeatures) throws {
        var bench = try PairBench(CapturePort(), features: features)
        bench.pair.port.answer = .full
        for seed in 0..<5 { bench.sendFrame(frameBytes(100, seed: UInt64(seed))) }
        for _ in 0..<3 { #expect(try !bench.pair.turn()) }
        #expect(try bench.sent() == 0)
        #expect(bench.pair.transmit?.isHeldBack == true)
        bench.pair.port.answer = .done
        #expect(try bench.pair.turn())
        #expect(try bench.sent() == 5)
        #expect(bench.pair.port.frames.map(\.bytes) == (0..<5).map { frameBytes(100, seed: $0) })
    }

    @Test func rejectedFrames() throws {
        var bench = try PairBench(CapturePort())
        bench.pair.port.answer = .rejected
        bench.sendFrame(frameBytes(100))
        #expect(try bench.pair.turn())
        #expect(try bench.sent() == 1)
        var expected = TransmitStatistics()
        expected.rejectedCount = 1
        #expect(bench.pair.totalStatistics.transmit == expected)
    }

    @Test("A turn takes a burst")
    func bursts() throws {
        var bench = try PairBench(CapturePort(), size: 256)
        for _ in 0..<100 { bench.sendFrame(frameBytes(60)) }
        for expected in [32, 64, 96, 100, 100] {
            _ = try bench.pair.turn()
            #expect(bench.pair.port.frames.count == expected)
        }
        #expect(try bench.sent() == 100)
    }

    @Test("A broken ring stops the queue, which says where it is")
    func faults() throws {
        var bench = try PairBench(CapturePort())
        bench.sendFrame(frameBytes(60))
        #expect(try bench.pair.turn())
        // The available index, far ahead.
        let offset = Int(
            bench.layout.configuration(
                at: PairBench<CapturePort>.base, features: []
            ).driverArea.rawValue - PairBench<CapturePort>.base.rawValue)
        bench.memory.store(1000 as UInt16, at: offset + 2)
        let fault = NetFault.transmit(.availableIndexOutOfRange(available: 1000, next: 1))
        #expect(throws: fault) { try bench.pair.turn() }
        try bench.pair.fail(fault)
        // The other one goes on, and the failed one still is to be stopped.
        #expect(try !bench.pair.turn())
        #expect(bench.pair.stop(.transmit)?.available == 1)
        #expect(bench.pair.stop(.transmit) == nil)
        #expect(bench.pair.stop(.receive)?.available == 0)
        #expect(bench.pair.totalStatistics.faultCount == 1)
        #expect(bench.pair.totalStatistics.transmit.frameCount == 1)
    }
}
