import BasicContainers
import SharedMemory
import Virtqueue

@testable import BlockBackend
@testable import Virtqueue

/// The decoder of block requests, for chains whose parts lie inside, outside and across the regions
/// of a map.
///
/// Input: how many parts the chain keeps and how many segments the decoder takes; a header, with
/// which the memory is filled; bytes to put somewhere; the parts.
enum RequestTarget {
    /// Two regions side by side, and one that ends with the address space.
    private static let memory = HostMemory.forFuzzing(byteCount: 3 << 12)
    private static let map = makeMap()
    private static let bases: [UInt64] = [0x10000, 0x11000, 0x12000, UInt64.max - 0xfff]

    private static func makeMap() -> MemoryMap {
        func region(_ address: UInt64, _ offset: Int) -> MemoryMap.Region {
            MemoryMap.Region(
                guestAddress: GuestAddress(address), memory: memory, memoryOffset: offset,
                byteCount: 0x1000)
        }
        do {
            return try MemoryMap([
                region(0x10000, 0x1000), region(0x11000, 0), region(UInt64.max - 0xfff, 0x2000),
            ])
        } catch {
            fatalError("\(error)")
        }
    }

    static func run(_ input: FuzzInput) {
        var input = input
        let capacity = 1 + input.below(12)
        let segmentCountMax = input.below(8)
        fillMemory(&input)
        let parts = makeParts(&input)
        var chain = DescriptorChain(capacity: capacity)
        do {
            for part in parts { try chain.append(part.range, isWritable: part.isWritable) }
        } catch {
            require(
                zip(parts, parts.dropFirst()).contains { $0.isWritable && !$1.isWritable },
                "parts to read come first")
            return
        }
        require(chain.isCutShort == (parts.count > capacity), "what does not fit is cut off")
        require(chain.count <= capacity, "a chain has a limit")
        check(parts, &chain, segmentCountMax)
    }

    private struct Part {
        var range: GuestRange
        var isWritable: Bool
    }

    private static func fillMemory(_ input: inout FuzzInput) {
        let header = BlockHeader(
            type: UInt32(input.next(UInt8.self)), sector: UInt64(input.next(UInt16.self)))
        for offset in stride(from: 0, to: memory.byteCount, by: BlockHeader.byteCount) {
            memory.store(header.words.0, at: offset)
            memory.store(header.words.1, at: offset + 8)
        }
        let count = input.below(64)
        let offset = Int(input.next(UInt16.self)) % memory.byteCount
        memory.poke(input.take(count), at: offset)
    }

    private static func makeParts(_ input: inout FuzzInput) -> [Part] {
        var parts: [Part] = []
        while !input.isAtEnd, parts.count < 40 {
            let kind = input.next(UInt8.self)
            let address: UInt64 =
                if kind & 8 != 0 {
                    input.next()
                } else {
                    bases[Int(kind & 3)] &+ UInt64(input.next(UInt16.self)) &- 0x80
                }
            let byteCount: Int =
                switch kind >> 4 & 3 {
                case 0: Int(input.next(UInt8.self))
                case 1: Int(input.next(UInt16.self))
                case 2: Int(input.next(UInt32.self))
                default: BlockHeader.byteCount
                }
            parts.append(
                Part(
                    range: GuestRange(address: GuestAddress(address), byteCount: byteCount),
                    isWritable: kind & 0x80 != 0))
        }
        return parts
    }

    private static func check(
        _ parts: [Part], _ chain: inout DescriptorChain, _ segmentCountMax: Int
    ) {
        let readable = parts.filter { !$0.isWritable }.map(\.range)
        let writable = parts.filter { $0.isWritable }.map(\.range)
        let readableByteCount = readable.reduce(0) { $0 + $1.byteCount }
        let writableByteCount = writable.reduce(0) { $0 + $1.byteCount }
        require(chain.readableByteCount == readableByteCount, "bytes to read are counted")
        require(chain.writableByteCount == writableByteCount, "bytes to write are counted")
        let status = writable.last { $0.byteCount > 0 }.map {
            GuestAddress($0.address.rawValue &+ UInt64($0.byteCount - 1))
        }
        let isAnswerable =
            status.map { map.contains(GuestRange(address: $0, byteCount: 1)) } ?? false
        let isCutShort = chain.isCutShort

        // One place more at either end, which must stay as it is.
        var segments = RigidArray<BlockSegment>(repeating: untouched, count: segmentCountMax + 2)
        let request: BlockRequest
        do throws(QueueFault) {
            let decoder = makeDecoder(segmentCountMax)
            request = try decoder.decode(&chain, segments: &segments, at: 1)
        } catch {
            require(!isAnswerable, "what has a status byte can be answered")
            return
        }
        require(isAnswerable && request.statusAddress == status, "the status is the last byte")
        require(
            request.payload.lowerBound >= 0 && request.payload.upperBound <= chain.count,
            "the payload is of the chain")
        let payload = request.payload.map { chain[$0] }
        switch request.kind {
        case .read, .identify:
            require(!isCutShort, "what is cut short is refused")
            require(
                joined(payload) == joined(writable).droppingLast(), "all but the status is payload")
        case .write:
            require(!isCutShort, "what is cut short is refused")
            require(
                joined(payload) == joined(readable).dropping(BlockHeader.byteCount),
                "all but the header is payload")
        case .flush, .refused:
            require(payload.isEmpty, "there is no payload")
        case .discard(let count), .writeZeroes(let count):
            require(!isCutShort, "what is cut short is refused")
            require(
                count <= segmentCountMax
                    && (count + 1) * BlockSegment.byteCount == readableByteCount,
                "segments are counted")
            require(
                count > 0 && segments[1] != untouched && segments[count] != untouched,
                "segments are kept")
        }
        require(
            segments[0] == untouched && segments[segmentCountMax + 1] == untouched,
            "segments stay in their places")
    }

    /// A segment that no request has: all its flags but the first are reserved.
    private static let untouched = BlockSegment(sector: .max, sectorCount: .max, flags: .max)

    private static func makeDecoder(_ segmentCountMax: Int) -> BlockRequestDecoder {
        do {
            return try BlockRequestDecoder(memoryMap: map, segmentCountMax: segmentCountMax)
        } catch {
            fatalError("\(error)")
        }
    }

    /// The same bytes in as few ranges as it takes.
    private static func joined(_ ranges: [GuestRange]) -> [GuestRange] {
        var result: [GuestRange] = []
        for range in ranges where range.byteCount > 0 {
            if let last = result.last,
                last.address.rawValue &+ UInt64(last.byteCount) == range.address.rawValue
            {
                result[result.count - 1].byteCount += range.byteCount
            } else {
                result.append(range)
            }
        }
        return result
    }
}

extension [GuestRange] {
    fileprivate func dropping(_ byteCount: Int) -> [GuestRange] {
        var left = byteCount
        return compactMap { range in
            let count = Swift.min(left, range.byteCount)
            left -= count
            let rest = range.slice(offset: count, byteCount: range.byteCount - count)
            return rest.byteCount > 0 ? rest : nil
        }
    }

    fileprivate func droppingLast() -> [GuestRange] {
        var ranges = self
        guard let last = ranges.popLast() else { return [] }
        return last.byteCount > 1
            ? ranges + [last.slice(offset: 0, byteCount: last.byteCount - 1)] : ranges
    }
}
