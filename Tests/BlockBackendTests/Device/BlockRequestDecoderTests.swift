import BasicContainers
import SharedMemory
import TestSupport
import Testing

@testable import BlockBackend
@testable import Virtqueue

/// Two regions that touch in the guest and lie anywhere here: 0x1000 to 0x3000.
private struct DecoderBench: ~Copyable {
    let map: MemoryMap
    let decoder: BlockRequestDecoder
    var segments: [BlockSegment] = []

    init(segmentCountMax: Int = 4) throws {
        let low = try HostMemory.anonymous(byteCount: 4096)
        let high = try HostMemory.anonymous(byteCount: 4096)
        let map = try MemoryMap([
            MemoryMap.Region(guestAddress: GuestAddress(0x1000), memory: low),
            MemoryMap.Region(guestAddress: GuestAddress(0x2000), memory: high),
        ])
        let decoder = try BlockRequestDecoder(
            memoryMap: map, segmentCountMax: segmentCountMax)
        self.map = map
        self.decoder = decoder
    }

    /// Puts bytes at an address.
    func put(_ bytes: [UInt8], at address: UInt64) {
        for (index, byte) in bytes.enumerated() {
            let isStored = map.store(byte, at: GuestAddress(address + UInt64(index)))
            precondition(isStored)
        }
    }

    /// Whether both addresses of the status name the same byte.
    private func memoryHasStatus(_ request: BlockRequest) -> Bool {
        let range = GuestRange(address: request.statusAddress, byteCount: 1)
        return map.translate(range)?.hostRange == request.status
    }

    struct Outcome {
        var request: BlockRequest
        /// What is left of the parts that are the payload, without empty ones.
        var payload: [GuestRange]
    }

    mutating func decode(
        _ parts: [GuestRange], readable: Int, capacity: Int = 64
    ) throws -> Outcome {
        var chain = DescriptorChain(capacity: capacity)
        for (index, part) in parts.enumerated() {
            try chain.append(part, isWritable: index >= readable)
        }
        // One in front and one behind that must stay as they are.
        let other = BlockSegment(sector: 77, sectorCount: 7, flags: 7)
        let places = decoder.segmentCountMax + 2
        var segments = RigidArray<BlockSegment>(capacity: places)
        for _ in 0..<places { segments.append(other) }
        let request = try decoder.decode(&chain, segments: &segments, at: 1)
        #expect(segments[0] == other && segments[places - 1] == other)
        #expect(memoryHasStatus(request))
        self.segments = (1..<places - 1).map { segments[$0] }
        return Outcome(
            request: request,
            payload: request.payload.map { chain[$0] }.filter { $0.byteCount > 0 })
    }
}

struct BlockRequestDecoderTests {
    private static let status = GuestRange(0x2800, 1)

    @Test(arguments: 1...16, [0, 1, 512]) func headerInPieces(pieces: Int, merged: Int) throws {
        var bench = try DecoderBench()
        let bytes = headerBytes(BlockHeader.write, sector: 0x0102_0304_0506)
        // Pieces of about the same length, far from each other; the last runs on into data.
        var parts: [GuestRange] = []
        for piece in 0..<pieces {
            let (begin, end) = (16 * piece / pieces, 16 * (piece + 1) / pieces)
            let address = 0x1000 + UInt64(piece) * 41
            bench.put(Array(bytes[begin..<end]), at: address)
            parts.append(GuestRange(address, end - begin + (piece == pieces - 1 ? merged : 0)))
        }
        let rest = parts[pieces - 1].slice(
            offset: parts[pieces - 1].byteCount - merged, byteCount: merged)
        let more = GuestRange(0x2000, 512)
        let found = try bench.decode(parts + [more, Self.status], readable: pieces + 1)
        #expect(found.request.kind == .write)
        #expect(found.request.sector == 0x0102_0304_0506)
        #expect(found.request.statusAddress == Self.status.address)
        #expect(found.payload == (merged > 0 ? [rest, more] : [more]))
    }

    @Test func anyFramingOfAReadAndAWrite() throws {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<2000 {
            var bench = try DecoderBench()
            let isRead = Bool.random(using: &random)
            let address = 0x1000 + UInt64.random(in: 0...4096, using: &random)
            bench.put(
                headerBytes(isRead ? BlockHeader.read : BlockHeader.write, sector: 99), at: address)
            let data = Int.random(in: 0...1024, using: &random)
            let readable = Self.split(
                GuestRange(address, 16 + (isRead ? 0 : data)), using: &random)
            let target = 0x1000 + UInt64.random(in: 0...4096, using: &random)
            let writable = Self.split(GuestRange(target, 1 + (isRead ? data : 0)), using: &random)
            let found = try bench.decode(readable + writable, readable: readable.count)
            #expect(found.request.kind == (isRead ? .read : .write))
            #expect(found.request.sector == 99)
            let end = target + UInt64(isRead ? data : 0)
            #expect(found.request.statusAddress.rawValue == end)
            // Neighbours that touch, from where the data begins to where they end.
            var position = isRead ? target : address + 16
            for part in found.payload {
                #expect(part.address.rawValue == position)
                position += UInt64(part.byteCount)
            }
            #expect(position == (isRead ? end : address + 16 + UInt64(data)))
        }
    }

    /// Cuts a range at random places, some of them twice.
    private static func split(
        _ range: GuestRange, using random: inout SeededGenerator
    ) -> [GuestRange] {
        let count = Int.random(in: 0...12, using: &random)
        let cuts = (0..<count).map { _ in Int.random(in: 0...range.byteCount, using: &random) }
        let ends = cuts.sorted() + [range.byteCount]
        return zip([0] + ends, ends).map { range.slice(offset: $0, byteCount: $1 - $0) }
    }

    @Test func headerAndStatusAtTheBorderOfTwoRegions() throws {
        var bench = try DecoderBench()
        for address in 0x1FF0...0x2000 as ClosedRange<UInt64> {
            bench.put(headerBytes(BlockHeader.flush, sector: 5), at: address)
            let found = try bench.decode(
                [GuestRange(address, 16), GuestRange(0x1FFF, 2)], readable: 1)
            #expect(found.request.kind == .flush)
            #expect(found.request.statusAddress.rawValue == 0x2000)
        }
        bench.put(headerBytes(BlockHeader.flush), at: 0x1000)
        let last = try bench.decode(
            [GuestRange(0x1000, 16), GuestRange(0x2FFF, 1)], readable: 1)
        #expect(last.request.statusAddress.rawValue == 0x2FFF)
    }

    @Test(arguments: [
        GuestRange(0x3000, 1), GuestRange(0x2FFF, 2), GuestRange(0xFFF, 1), GuestRange(0, 1),
        GuestRange(.max, 1), GuestRange(.max, 2), GuestRange(.max - 1, Int(UInt32.max)),
        GuestRange(0x2800, 0),
    ])
    func statusThatIsNotThere(status: GuestRange) throws {
        var bench = try DecoderBench()
        bench.put(headerBytes(BlockHeader.flush), at: 0x1000)
        #expect(throws: QueueFault.unanswerableRequest) {
            _ = try bench.decode([GuestRange(0x1000, 16), status], readable: 1)
        }
        #expect(throws: QueueFault.unanswerableRequest) {
            _ = try bench.decode([GuestRange(0x1000, 16)], readable: 1)
        }
    }

    @Test(arguments: [
        [GuestRange(0x1000, 15)], [GuestRange(0x1000, 8), GuestRange(0x1010, 7)], [],
        [GuestRange(0x1000, 0)], [GuestRange(0x2FF1, 16)], [GuestRange(0xFF8, 16)],
        [GuestRange(.max - 7, 16)], [GuestRange(.max - 15, 32)],
        [GuestRange(0x1000, 8), GuestRange(0x3000, 8)],
    ])
    func headerThatIsNotThere(parts: [GuestRange]) throws {
        var bench = try DecoderBench()
        let found = try bench.decode(parts + [Self.status], readable: parts.count)
        #expect(found.request.kind == .refused(.ioError))
        #expect(found.request.statusAddress == Self.status.address)
    }

    @Test(arguments: [2, 3, 5, 6, 7, 9, 10, 12, 14, 0x8000_0000, .max] as [UInt32])
    func unknownTypes(type: UInt32) throws {
        var bench = try DecoderBench()
        bench.put(headerBytes(type), at: 0x1000)
        let found = try bench.decode([GuestRange(0x1000, 16), Self.status], readable: 1)
        #expect(found.request.kind == .refused(.unsupported))
    }

    @Test func identifier() throws {
        var bench = try DecoderBench()
        bench.put(headerBytes(BlockHeader.identify), at: 0x1000)
        let found = try bench.decode(
            [GuestRange(0x1000, 16), GuestRange(0x1100, 12), GuestRange(0x1200, 9)], readable: 1)
        #expect(found.request.kind == .identify)
        #expect(found.payload == [GuestRange(0x1100, 12), GuestRange(0x1200, 8)])
    }
}

/// Chains with more parts than there is room for, and ranges of discards and zeroes.
struct BlockRequestDecoderLimitTests {
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
