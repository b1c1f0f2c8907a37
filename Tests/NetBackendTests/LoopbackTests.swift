import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

/// Frames from a transmit queue to a receive queue: both ends of the device's side.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct LoopbackTests {
    static let formats: [VirtioFeatures] = [
        [], .packedRing, [.indirectDescriptors, .eventIndex],
    ]
    private static let offloads: VirtioFeatures = [
        .netChecksum, .netGuestChecksum, .netHostTSO4, .netGuestTSO4,
    ]

    @Test("What is sent is received, whatever the parts on either side", arguments: formats)
    func parts(features: VirtioFeatures) throws {
        var bench = try PairBench(LoopbackPort(), features: features)
        var random = SeededGenerator(seed: 11)
        for _ in 0..<100 {
            let frame = frameBytes(
                Int.random(in: 14...1514, using: &random), seed: random.next())
            let all = NetHeader().bytes + frame
            let cut = Int.random(in: 0...all.count, using: &random)
            let before = bench.put(Array(all[..<cut]))
            let behind = bench.put(Array(all[cut...]))
            bench.send([before, behind])
            var sizes: [Int] = []
            while sizes.reduce(0, +) < all.count {
                sizes.append(Int.random(in: 1...800, using: &random))
            }
            let room = bench.offer(Array(sizes.prefix(30)))
            #expect(try bench.pair.turn())
            #expect(try bench.sent() == 1)
            #expect(try bench.received() == [all.count])
            let bytes = room.flatMap { bench.bytes($0) }
            #expect(NetHeader(bytes: Array(bytes.prefix(12))).bufferCount == 1)
            #expect(Array(bytes[12..<all.count]) == frame)
            // Nothing is written behind it.
            #expect(bytes[all.count...].allSatisfy { $0 == 0xEE })
        }
    }

    @Test("A frame lies in as many mergeable buffers as it needs", arguments: formats)
    func mergeable(features: VirtioFeatures) throws {
        let features = features.union(.netMergeableBuffers)
        var bench = try PairBench(LoopbackPort(), features: features)
        for length in [14, 87, 88, 89, 188, 189, 1000, 1488, 1489] {
            let frame = frameBytes(length)
            bench.sendFrame(frame)
            let rooms = (0..<16).flatMap { bench.offer([100], tag: UInt64($0)) }
            #expect(try bench.pair.turn())
            let needed = (length + 12 + 99) / 100
            let counts = try bench.received()
            #expect(counts.count == needed && counts.reduce(0, +) == length + 12)
            #expect(counts.dropLast().allSatisfy { $0 == 100 })
            let bytes = rooms.flatMap { bench.bytes($0) }
            #expect(Int(NetHeader(bytes: Array(bytes.prefix(12))).bufferCount) == needed)
            #expect(Array(bytes[12..<length + 12]) == frame)
            // Take the rest back, so that each length finds buffers of its own.
            for _ in needed..<16 { bench.sendFrame(frameBytes(14)) }
            while try bench.pair.turn() {}
            #expect(try bench.received().count == 16 - needed)
            _ = try bench.sent()
        }
    }

    @Test(
        "A full receive queue holds frames back; none is lost, none overtakes", arguments: formats)
    func heldBack(features: VirtioFeatures) throws {
        let features = features.union(.netMergeableBuffers)
        var bench = try PairBench(LoopbackPort(), features: features)
        for seed in 0..<10 { bench.sendFrame(frameBytes(150, seed: UInt64(seed))) }
        #expect(try !bench.pair.turn())
        #expect(try bench.sent() == 0)
        for seed in 0..<10 as Range<UInt64> {
            // One buffer is not enough for a frame, two are.
            let first = bench.offer([100])
            #expect(try !bench.pair.turn())
            let second = bench.offer([100])
            #expect(try bench.pair.turn())
            #expect(try bench.received() == [100, 62])
            let bytes = (first + second).flatMap { bench.bytes($0) }
            #expect(Array(bytes[12..<162]) == frameBytes(150, seed: seed))
            #expect(try bench.sent() == 1)
        }
        let statistics = bench.pair.totalStatistics
        #expect(statistics.receive.heldBackCount == 10)
        #expect(statistics.receive.frameCount == 10 && statistics.receive.bufferCount == 20)
        #expect(statistics.transmit.frameCount == 10)
    }

    @Test("Buffers of no use are given back empty, and counted", arguments: formats)
    func badBuffers(features: VirtioFeatures) throws {
        for isMergeable in [false, true] {
            let features = features.union(isMergeable ? .netMergeableBuffers : [])
            var bench = try PairBench(LoopbackPort(), features: features)
            let outside = [GuestRange(address: GuestAddress(0x1000), byteCount: 2000)]
            let half = [bench.room(100), outside[0]]
            bench.offer([11])
            for parts in [outside, half] {
                let isAdded = bench.receive.add(parts.span, readableCount: 0, tag: 0)
                #expect(isAdded)
            }
            let toRead = [bench.room(2000)]
            let isAdded = bench.receive.add(toRead.span, readableCount: 1, tag: 0)
            #expect(isAdded)
            let good = bench.offer([200])
            bench.sendFrame(frameBytes(100))
            #expect(try bench.pair.turn())
            #expect(try bench.received() == [0, 0, 0, 0, 112])
            #expect(Array(bench.bytes(good[0])[12..<112]) == frameBytes(100))
            let statistics = bench.pair.totalStatistics.receive
            #expect(statistics.shortBufferCount == 2 && statistics.unreachableBufferCount == 2)
            #expect(statistics.frameCount == 1)
        }
    }

    @Test("A bad buffer amid a frame counts as one without room")
    func badBufferAmidFrame() throws {
        var bench = try PairBench(LoopbackPort(), features: .netMergeableBuffers)
        let first = bench.offer([100])
        let outside = [GuestRange(address: GuestAddress(0x1000), byteCount: 2000)]
        let isAdded = bench.receive.add(outside.span, readableCount: 0, tag: 0)
        #expect(isAdded)
        let last = bench.offer([100])
        bench.sendFrame(frameBytes(150))
        #expect(try bench.pair.turn())
        #expect(try bench.received() == [100, 0, 62])
        let bytes = bench.bytes(first[0]) + bench.bytes(last[0])
        #expect(NetHeader(bytes: Array(bytes.prefix(12))).bufferCount == 3)
        #expect(Array(bytes[12..<162]) == frameBytes(150))
    }

    @Test("A frame longer than the one buffer it may lie in is dropped; the buffer stays")
    func tooLong() throws {
        var bench = try PairBench(LoopbackPort())
        let room = bench.offer([100])
        bench.sendFrame(frameBytes(89))
        bench.sendFrame(frameBytes(88))
        #expect(try bench.pair.turn())
        #expect(try bench.sent() == 2)
        #expect(try bench.received() == [100])
        #expect(Array(bench.bytes(room[0]).dropFirst(12)) == frameBytes(88))
        let statistics = bench.pair.totalStatistics
        #expect(statistics.receive.tooLongCount == 1)
        #expect(statistics.transmit.rejectedCount == 1 && statistics.transmit.frameCount == 1)
    }

    @Test("A frame longer than all buffers of a full ring does not wait for ever")
    func longerThanTheRing() throws {
        var bench = try PairBench(LoopbackPort(), features: .netMergeableBuffers, size: 8)
        for _ in 0..<8 { bench.offer([100]) }
        bench.sendFrame(frameBytes(1000))
        bench.sendFrame(frameBytes(14))
        #expect(try bench.pair.turn())
        #expect(bench.pair.totalStatistics.receive.tooLongCount == 1)
        #expect(try bench.received() == [26])
    }

    @Test("What is left to do on a frame goes along where the driver has agreed to it")
    func offloads() throws {
        var bench = try PairBench(LoopbackPort(), features: Self.offloads)
        let room = bench.offer([5000])
        var header = NetHeader.offload(NetHeader.Segmentation.tcp4, segment: 1000)
        bench.sendFrame(frameBytes(4000), header)
        #expect(try bench.pair.turn())
        #expect(try bench.received() == [4012])
        header.bufferCount = 1
        #expect(NetHeader(bytes: Array(bench.bytes(room[0]).prefix(12))) == header)

        var other = try PairBench(
            LoopbackPort(), features: Self.offloads.subtracting(.netGuestTSO4))
        other.offer([5000])
        other.sendFrame(frameBytes(4000), .offload(NetHeader.Segmentation.tcp4, segment: 1000))
        #expect(try other.pair.turn())
        #expect(try other.received() == [])
        #expect(other.pair.totalStatistics.receive.unexpectedOffloadCount == 1)
        #expect(other.pair.totalStatistics.transmit.rejectedCount == 1)
    }

    @Test("Pages that were written are noted, and no others")
    func dirtyPages() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        let log = DirtyLog(memory: memory, offset: 0, byteCount: 4096)
        var bench = try PairBench(
            LoopbackPort(), features: .netMergeableBuffers, dirtyLog: log)
        let rooms = bench.offer([5000, 5000]) + bench.offer([5000])
        bench.sendFrame(frameBytes(8000))
        #expect(try bench.pair.turn())
        #expect(try bench.received() == [8012])
        func isMarked(_ address: UInt64) -> Bool {
            let page = Int(address / 4096)
            return memory.load(UInt8.self, at: page / 8) & 1 << UInt8(page % 8) != 0
        }
        let (first, second) = (rooms[0].address.rawValue, rooms[1].address.rawValue)
        #expect(isMarked(first) && isMarked(first + 4096) && isMarked(second + 3011))
        #expect(!isMarked(first - 4096) && !isMarked(rooms[2].address.rawValue + 4096))
    }

    @Test("Random traffic, with random bursts of both")
    func randomTraffic() throws {
        for features in Self.formats {
            var random = SeededGenerator(seed: 3)
            let features = features.union(.netMergeableBuffers)
            var bench = try PairBench(LoopbackPort(), features: features)
            var (sent, received) = (0 as UInt64, 0 as UInt64)
            var rooms: [GuestRange] = []
            var bytes: [UInt8] = []
            while received < 500 {
                for _ in 0..<Int.random(in: 0...8, using: &random)
                where bench.transmit.inflightCount < 40 {
                    bench.sendFrame(frameBytes(14 + Int(sent % 300), seed: sent))
                    sent += 1
                }
                for _ in 0..<Int.random(in: 0...8, using: &random)
                where bench.receive.inflightCount < 40 {
                    rooms += bench.offer([Int.random(in: 12...200, using: &random)])
                }
                _ = try bench.pair.turn()
                _ = try bench.sent()
                while let used = try bench.receive.nextUsed() {
                    bytes += bench.bytes(rooms.removeFirst()).prefix(used.writtenByteCount)
                    guard bytes.count == 12 + 14 + Int(received % 300) else { continue }
                    #expect(
                        Array(bytes.dropFirst(12))
                            == frameBytes(14 + Int(received % 300), seed: received))
                    received += 1
                    bytes = []
                }
            }
            #expect(bench.pair.totalStatistics.receive.frameCount >= 500)
        }
    }
}
