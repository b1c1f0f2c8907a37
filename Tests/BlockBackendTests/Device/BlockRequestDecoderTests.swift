import SharedMemory
import TestSupport
import Testing

@testable import BlockBackend
@testable import Virtqueue

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
