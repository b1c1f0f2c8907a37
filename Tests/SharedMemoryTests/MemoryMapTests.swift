import SharedMemory
import TestSupport
import Testing

@Suite struct MemoryMapTests {
    let memory: HostMemory

    init() throws {
        memory = try HostMemory.anonymous(byteCount: 16384)
    }

    private func region(_ address: UInt64, _ byteCount: Int, memoryOffset: Int = 0)
        -> MemoryMap.Region
    {
        MemoryMap.Region(
            guestAddress: GuestAddress(address), memory: memory, memoryOffset: memoryOffset,
            byteCount: byteCount)
    }

    private func range(_ address: UInt64, _ byteCount: Int) -> GuestRange {
        GuestRange(address: GuestAddress(address), byteCount: byteCount)
    }

    @Test func rangesUpToBothBordersOfARegionAreTranslated() throws {
        let map = try MemoryMap([region(0x1000, 0x2000, memoryOffset: 0x800)])
        let first = try #require(map.translate(range(0x1000, 1)))
        #expect(first.hostRange == memory.hostRange(offset: 0x800, byteCount: 1))
        #expect(first.regionOffset == 0)
        let last = try #require(map.translate(range(0x2fff, 1)))
        #expect(last.hostRange == memory.hostRange(offset: 0x27ff, byteCount: 1))
        #expect(last.regionOffset == 0x1fff)
        let whole = try #require(map.translate(range(0x1000, 0x2000)))
        #expect(whole.hostRange == memory.hostRange(offset: 0x800, byteCount: 0x2000))
    }

    @Test(arguments: [
        (0xfff as UInt64, 1), (0xfff, 2), (0x3000, 1), (0x2fff, 2), (0x1000, 0x2001), (0, 0x10000),
        (0x3000, 0), (0xfff, 0),
    ])
    func rangesWithAByteOutsideAreRefused(address: UInt64, byteCount: Int) throws {
        let map = try MemoryMap([region(0x1000, 0x2000)])
        #expect(map.translate(range(address, byteCount)) == nil)
        #expect(!map.contains(range(address, byteCount)))
    }

    @Test(arguments: [
        (UInt64.max, 1), (.max, 2), (.max, .max), (0x1000, .max), (.max - 0xfff, 0x2000),
        (1 << 63, .max), (0x2fff, .max),
    ])
    func hostileRangesAreRefused(address: UInt64, byteCount: Int) throws {
        let map = try MemoryMap([region(0x1000, 0x2000)])
        #expect(map.translate(range(address, byteCount)) == nil)
        #expect(!map.contains(range(address, byteCount)))
    }

    @Test func prefixOfAHostileRangeEndsWithItsRegion() throws {
        let map = try MemoryMap([region(0x1000, 0x2000)])
        let run = try #require(map.translatePrefix(of: range(0x1800, .max)))
        #expect(run.hostRange == memory.hostRange(offset: 0x800, byteCount: 0x1800))
    }

    @Test func emptyRangeInsideARegionIsTranslatedToNothing() throws {
        let map = try MemoryMap([region(0x1000, 0x2000)])
        #expect(map.translate(range(0x1000, 0))?.hostRange.byteCount == 0)
        #expect(map.contains(range(0x2fff, 0)))
    }

    @Test func regionsAreSortedByAddress() throws {
        let map = try MemoryMap([
            region(0x9000, 0x1000, memoryOffset: 0x1000), region(0x1000, 0x800),
            region(0x4000, 0x1000, memoryOffset: 0x2000),
        ])
        #expect(map.regions.map(\.guestAddress.rawValue) == [0x1000, 0x4000, 0x9000])
        let run = try #require(map.translate(range(0x9010, 4)))
        #expect(run.regionIndex == 2)
        #expect(run.hostRange == memory.hostRange(offset: 0x1010, byteCount: 4))
        #expect(map.translate(range(0x4000, 1))?.regionIndex == 1)
        #expect(map.translate(range(0x17ff, 1))?.regionIndex == 0)
    }

    @Test func overlappingRegionsAreRefusedInAnyOrder() {
        let low = region(0x1000, 0x1001)
        let high = region(0x2000, 0x1000)
        #expect(throws: MemoryMap.Fault.overlap) { try MemoryMap([low, high]) }
        #expect(throws: MemoryMap.Fault.overlap) { try MemoryMap([high, low]) }
        #expect(throws: MemoryMap.Fault.overlap) { try MemoryMap([high, high]) }
        #expect(throws: MemoryMap.Fault.overlap) {
            try MemoryMap([region(0, 0x4000), region(0x1000, 1)])
        }
    }

    @Test func emptyAndOverflowingRegionsAreRefusedByIndex() {
        #expect(throws: MemoryMap.Fault.invalidRegion(index: 1)) {
            try MemoryMap([region(0, 1), region(0x1000, 0)])
        }
        #expect(throws: MemoryMap.Fault.invalidRegion(index: 0)) {
            try MemoryMap([region(.max - 0xfff, 0x1001), region(0, 1)])
        }
    }

    @Test func adjacentRegionsAreSplitAtTheirBorder() throws {
        let map = try MemoryMap([
            region(0x1000, 0x1000, memoryOffset: 0x2000), region(0x2000, 0x1000),
        ])
        let across = range(0x1ff0, 0x20)
        #expect(map.translate(across) == nil)
        #expect(map.contains(across))
        let first = try #require(map.translatePrefix(of: across))
        #expect(first.regionIndex == 0)
        #expect(first.hostRange == memory.hostRange(offset: 0x2ff0, byteCount: 0x10))
        let second = try #require(
            map.translatePrefix(of: across.slice(offset: 0x10, byteCount: 0x10)))
        #expect(second.regionIndex == 1)
        #expect(second.hostRange == memory.hostRange(offset: 0, byteCount: 0x10))
    }

    @Test func containsFollowsSeveralRegionsAndStopsAtAGap() throws {
        let map = try MemoryMap([
            region(0x1000, 0x1000), region(0x2000, 0x1000), region(0x3000, 0x1000),
            region(0x4001, 0x100),
        ])
        #expect(map.contains(range(0x1000, 0x3000)))
        #expect(map.contains(range(0x1fff, 0x1002)))
        #expect(!map.contains(range(0x1000, 0x3001)))
        #expect(!map.contains(range(0xfff, 2)))
        #expect(!map.contains(range(0x3fff, 3)))
    }

    @Test func regionMayEndAtTheEndOfTheAddressSpace() throws {
        let map = try MemoryMap([region(.max - 0xfff, 0x1000)])
        #expect(
            map.translate(range(.max, 1))?.hostRange
                == memory.hostRange(offset: 0xfff, byteCount: 1))
        #expect(map.contains(range(.max - 0xfff, 0x1000)))
        #expect(map.translate(range(.max - 0xfff, 0x1001)) == nil)
        #expect(!map.contains(range(.max - 0xfff, 0x1001)))
        #expect(!map.contains(range(.max, 2)))
    }

    @Test func rangePastTheEndOfTheAddressSpaceDoesNotGoOnAtZero() throws {
        let map = try MemoryMap([region(.max - 0xfff, 0x1000), region(0, 0x1000)])
        #expect(map.translate(range(.max, 2)) == nil)
        #expect(!map.contains(range(.max, 2)))
    }

    @Test func emptyMapHasNothing() throws {
        let map = try MemoryMap([])
        #expect(map.translate(range(0, 0)) == nil)
        #expect(!map.contains(range(.max, 1)))
    }

    @Test func mapOfOneMemoryCoversAllOfIt() {
        let map = MemoryMap(memory, at: GuestAddress(0x10000))
        #expect(map.translate(range(0x10000, 16384))?.hostRange == memory.hostRange)
        #expect(map.translate(range(0x10000, 16385)) == nil)
    }

    @Test func mapKeepsItsMemoriesAlive() throws {
        var memory: HostMemory? = try HostMemory.anonymous(byteCount: 4096)
        weak let watched = memory
        let map = MemoryMap(try #require(memory), at: GuestAddress(0))
        memory = nil
        #expect(watched != nil)
        #expect(map.contains(range(0, 4096)))
    }

    @Test func regionOutsideItsMemoryTraps() async {
        await #expect(processExitsWith: .failure) {
            let memory = try HostMemory.anonymous(byteCount: 4096)
            _ = MemoryMap.Region(
                guestAddress: GuestAddress(0), memory: memory, memoryOffset: 1, byteCount: 4096)
        }
    }

    /// A space of 512 addresses, each of which belongs to a region or to none, against the map.
    @Test(arguments: [0 as UInt64, 0x7fff_ff80, 1 << 63, UInt64.max - 511])
    func lookUpsEqualABytewiseModel(base: UInt64) throws {
        var generator = SeededGenerator()
        for _ in 0..<40 {
            var regions: [MemoryMap.Region] = []
            var owner = [(region: Int, offset: Int)?](repeating: nil, count: 512)
            var next = generator.below(20)
            while next < 512 {
                let count = min(1 + generator.below(60), 512 - next)
                let memoryOffset = generator.below(16384 - count)
                for index in 0..<count { owner[next + index] = (regions.count, index) }
                regions.append(
                    region(base + UInt64(next), count, memoryOffset: memoryOffset))
                next += count + [0, 0, 1, generator.below(50)][generator.below(4)]
            }
            let map = try MemoryMap(regions.shuffled(using: &generator))
            for _ in 0..<400 {
                let start = generator.below(512)
                let count = generator.below(generator.below(4) == 0 ? 520 : 40)
                let asked = range(base &+ UInt64(start), count)
                let message = "seed \(generator.seed) start \(start) count \(count)"
                let run = map.translatePrefix(of: asked)
                // The bytes are [base, base + 512), and a range past 2^64 lies nowhere.
                let (end, overflow) = asked.address.rawValue.addingReportingOverflow(UInt64(count))
                guard let (index, offset) = owner[start], !overflow || end == 0 else {
                    if run != nil || map.contains(asked) { Issue.record("outside: \(message)") }
                    continue
                }
                let region = regions[index]
                let expected = region.memory.hostRange(
                    offset: region.memoryOffset + offset,
                    byteCount: min(count, region.byteCount - offset))
                let all = (start..<start + count).allSatisfy { $0 < 512 && owner[$0] != nil }
                if run?.hostRange != expected || run?.regionIndex != index
                    || run?.regionOffset != offset
                {
                    Issue.record("wrong run: \(message)")
                }
                if map.contains(asked) != all { Issue.record("wrong contains: \(message)") }
                let fits = count <= region.byteCount - offset
                if (map.translate(asked) != nil) != fits {
                    Issue.record("wrong translate: \(message)")
                }
            }
        }
    }
}
