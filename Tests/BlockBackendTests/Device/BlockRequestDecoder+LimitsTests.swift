import SharedMemory
import TestSupport
import Testing

@testable import BlockBackend
@testable import Virtqueue

/// Chains with more parts than there is room for, and ranges of discards and zeroes.
struct BlockRequestDecoderLimitsTests {
    private static let status = GuestRange(0x2800, 1)

    @Test func aChainCutShortIsRefused() throws {
        var bench = try DecoderBench()
        bench.put(headerBytes(BlockHeader.write), at: 0x1000)
        let header = GuestRange(0x1000, 16)
        let data = GuestRange(0x1100, 512)
        for count in 4...8 {
            let found = try bench.decode(
                [header] + Array(repeating: data, count: count) + [Self.status],
                readable: count + 1, capacity: 4)
            #expect(found.request.kind == .refused(.ioError))
            #expect(found.request.statusAddress == Self.status.address)
        }
        let writable = try bench.decode(
            [header] + Array(repeating: data, count: 9) + [Self.status], readable: 1, capacity: 4)
        #expect(writable.request.kind == .refused(.ioError))
        #expect(writable.request.statusAddress == Self.status.address)
    }

    @Test("An empty part last in a chain cut short", arguments: 1...8)
    func cutShortAndEmpty(readable: Int) throws {
        var bench = try DecoderBench()
        let data = GuestRange(0x1100, 512)
        let empty = GuestRange(0x1000, 0)
        let found = try bench.decode(
            Array(repeating: data, count: readable)
                + [data, data, data, data, Self.status, empty, empty],
            readable: readable, capacity: min(readable, 4))
        #expect(found.request.kind == .refused(.ioError))
        #expect(found.request.statusAddress == Self.status.address)
    }

    @Test(arguments: [BlockHeader.discard, BlockHeader.writeZeroes], 1...5)
    func ranges(type: UInt32, count: Int) throws {
        var random = SeededGenerator(seed: UInt64(count))
        for _ in 0..<200 {
            var bench = try DecoderBench()
            bench.put(headerBytes(type), at: 0x1000)
            var expected: [BlockSegment] = []
            for index in 0..<count {
                let segment = BlockSegment(
                    sector: .random(in: 0 ... .max, using: &random),
                    sectorCount: .random(in: 0 ... .max, using: &random),
                    flags: type == BlockHeader.discard ? 0 : .random(in: 0...1, using: &random))
                expected.append(segment)
                bench.put(
                    segmentBytes(segment.sector, segment.sectorCount, flags: segment.flags),
                    at: 0x1010 + UInt64(index) * 16)
            }
            // In pieces of any length, empty ones too.
            var parts: [GuestRange] = []
            var done = 0
            while done < 16 + count * 16 {
                let length = min(Int.random(in: 0...24, using: &random), 16 + count * 16 - done)
                parts.append(GuestRange(0x1000 + UInt64(done), length))
                done += length
            }
            let found = try bench.decode(
                parts + [Self.status], readable: parts.count, capacity: 128)
            guard count <= 4 else {
                #expect(found.request.kind == .refused(.ioError))
                continue
            }
            #expect(
                found.request.kind
                    == (type == BlockHeader.discard
                        ? .discard(segmentCount: count) : .writeZeroes(segmentCount: count)))
            #expect(Array(bench.segments.prefix(count)) == expected)
        }
    }

    @Test(
        arguments: [
            (BlockHeader.discard, 1), (BlockHeader.discard, 2),
            (BlockHeader.discard, 0x8000_0000), (BlockHeader.writeZeroes, 2),
            (BlockHeader.writeZeroes, 3), (BlockHeader.writeZeroes, .max),
        ] as [(UInt32, UInt32)])
    func flagsThatAreUnknown(type: UInt32, flags: UInt32) throws {
        var bench = try DecoderBench()
        bench.put(headerBytes(type) + segmentBytes(0, 8), at: 0x1000)
        bench.put(segmentBytes(8, 8, flags: flags), at: 0x1020)
        let found = try bench.decode([GuestRange(0x1000, 48), Self.status], readable: 1)
        #expect(found.request.kind == .refused(.unsupported))
    }

    @Test(arguments: [0, 1, 8, 15, 17, 31])
    func rangesThatAreNotWhole(byteCount: Int) throws {
        var bench = try DecoderBench()
        bench.put(headerBytes(BlockHeader.discard), at: 0x1000)
        let found = try bench.decode(
            [GuestRange(0x1000, 16 + byteCount), Self.status], readable: 1)
        #expect(found.request.kind == .refused(.ioError))
    }

    @Test func aRangeOutsideTheMap() throws {
        var bench = try DecoderBench()
        bench.put(headerBytes(BlockHeader.discard), at: 0x1000)
        let found = try bench.decode(
            [GuestRange(0x1000, 16), GuestRange(0x2FF8, 16), Self.status], readable: 2)
        #expect(found.request.kind == .refused(.ioError))
    }
}
