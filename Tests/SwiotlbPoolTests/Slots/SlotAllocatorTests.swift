import BasicContainers
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

@Suite struct SlotAllocatorTests {
    private func allocator(
        segments: Int, areas: Int = 1, extents: Int = 1,
        geometry: PoolGeometry = .standard
    ) -> SlotAllocator {
        let layout = PoolLayout(
            geometry: geometry, extentByteCount: segments * geometry.segmentByteCount,
            extentCountMax: extents, areaCount: areas)
        let allocator = SlotAllocator(layout: layout)
        for extent in 0..<extents {
            let slots = layout.slots(ofExtent: extent)
            allocator.release(SlotRun(first: slots.lowerBound, count: slots.count))
        }
        return allocator
    }

    /// Mirrors the order of `swiotlb_find_slots`: the own area, then the others in turn.
    @Test func preferredAreaComesFirstThenTheOthersInTurn() {
        let allocator = allocator(segments: 3, areas: 3)
        let request = SlotRequest(slotCount: 128)
        let order = (0..<4).map { _ in allocator.claim(request, preferring: 1) }
        #expect(order == [128, 256, 0, nil])
    }

    @Test func laterExtentsOfTheOwnAreaComeBeforeOtherAreas() {
        let allocator = allocator(segments: 2, areas: 2, extents: 2)
        let request = SlotRequest(slotCount: 128)
        let order = (0..<5).map { _ in allocator.claim(request, preferring: 1) }
        #expect(order == [128, 384, 0, 256, nil])
    }

    /// A segment's border is never crossed (`IO_TLB_SEGSIZE`), though both sides are free.
    @Test func runsDoNotCrossSegments() {
        let allocator = allocator(segments: 2)
        #expect(allocator.claim(SlotRun(first: 0, count: 100)))
        #expect(allocator.claim(SlotRun(first: 156, count: 100)))
        #expect(allocator.claim(SlotRequest(slotCount: 29), preferring: 0) == nil)
        #expect(allocator.claim(SlotRequest(slotCount: 28), preferring: 0) == 100)
        #expect(allocator.longestFreeRun == 28)
    }

    @Test func runsCrossSegmentsWhereTheGeometryLetsThem() throws {
        let geometry = try PoolGeometry(segmentSlotCount: 64, segmentsPerMapping: 3)
        let allocator = allocator(segments: 8, areas: 2, geometry: geometry)
        #expect(allocator.claim(SlotRun(first: 10, count: 1)))
        #expect(allocator.claim(SlotRequest(slotCount: 192), preferring: 0) == 11)
        // Not enough is left before area 1 begins.
        #expect(allocator.claim(SlotRequest(slotCount: 192), preferring: 0) == 256)
        allocator.release(SlotRun(first: 11, count: 192))
        #expect(allocator.claim(SlotRequest(slotCount: 180), preferring: 0) == 11)
    }

    /// Whatever was claimed and freed before, a run that is free is found: hints never hide one
    /// (invariants 3 and 4 of swiotlb.md).
    @Test func everyClaimEqualsABruteForceSearch() throws {
        var generator = SeededGenerator()
        for round in 0..<12 {
            let geometry = try PoolGeometry(
                segmentSlotCount: [64, 128, 256][round % 3],
                segmentsPerMapping: round % 4 == 3 ? 2 : 1)
            let allocator = allocator(segments: 5, areas: 2, extents: 2, geometry: geometry)
            let layout = allocator.layout
            var isFree = (0..<layout.slotLimit).map { allocator.bitmap.isFree($0) }
            var held: [SlotRun] = []
            for _ in 0..<400 {
                if generator.below(5) < 3 {
                    let stride = generator.below(3) == 0 ? 1 << generator.below(6) : 1
                    let request = SlotRequest(
                        slotCount: 1
                            + generator.below(
                                [6, 40, geometry.runSlotCountMax][generator.below(3)]),
                        stride: stride, residue: generator.below(stride))
                    let found = allocator.claim(request, preferring: generator.below(2))
                    let fits = Self.fits(request, isFree, layout)
                    if (found != nil) != fits {
                        Issue.record(
                            "seed \(generator.seed): \(request) in \(geometry) found \(found ?? -1)"
                        )
                    }
                    guard let found else { continue }
                    let run = SlotRun(first: found, count: request.slotCount)
                    if !request.allows(found) || !isFree[run.first..<run.end].allSatisfy({ $0 }) {
                        Issue.record("seed \(generator.seed): \(run)")
                    }
                    for slot in run.first..<run.end { isFree[slot] = false }
                    held.append(run)
                } else if !held.isEmpty {
                    let run = held.remove(at: generator.below(held.count))
                    allocator.release(run)
                    for slot in run.first..<run.end { isFree[slot] = true }
                }
                if allocator.longestFreeRun != Self.longestRun(isFree, geometry.segmentSlotCount) {
                    Issue.record("seed \(generator.seed): the longest run")
                }
            }
            for slot in 0..<layout.slotLimit where allocator.bitmap.isFree(slot) != isFree[slot] {
                Issue.record("seed \(generator.seed): slot \(slot)")
            }
        }
    }

    private static func fits(
        _ request: SlotRequest, _ isFree: [Bool], _ layout: PoolLayout
    ) -> Bool {
        let segment = layout.geometry.segmentSlotCount
        for extent in 0..<layout.extentCountMax {
            for area in 0..<layout.areaCount {
                let slots = layout.slots(ofArea: area)
                let base = extent << layout.extentShift
                let pieces =
                    request.slotCount > segment
                    ? [slots]
                    : stride(from: slots.lowerBound, to: slots.upperBound, by: segment).map {
                        $0..<$0 + segment
                    }
                for piece in pieces {
                    var run = 0
                    for slot in stride(
                        from: base + piece.upperBound - 1, through: base + piece.lowerBound, by: -1)
                    {
                        run = isFree[slot] ? run + 1 : 0
                        if run >= request.slotCount, request.allows(slot) { return true }
                    }
                }
            }
        }
        return false
    }

    private static func longestRun(_ isFree: [Bool], _ segment: Int) -> Int {
        var longest = 0
        var run = 0
        for slot in isFree.indices {
            if slot % segment == 0 { run = 0 }
            run = isFree[slot] ? run + 1 : 0
            longest = max(longest, run)
        }
        return longest
    }

    @Test func claimOverSeveralWordsTakesAllOrNothing() {
        let allocator = allocator(segments: 3)
        let taken = { (0..<384).filter { !allocator.bitmap.isFree($0) } }
        #expect(allocator.claim(SlotRun(first: 300, count: 1)))
        // Slot 300 is in the way, in the last of four words.
        #expect(!allocator.claim(SlotRun(first: 100, count: 220)))
        #expect(taken() == [300], "what was claimed was given back")
        #expect(allocator.claim(SlotRun(first: 100, count: 200)))
        #expect(!allocator.claim(SlotRun(first: 50, count: 51)))
        #expect(taken() == Array(100...300))
        allocator.release(SlotRun(first: 100, count: 201))
        #expect(taken() == [])
    }

    @Test func runsOverSeveralSegmentsAreFound() {
        let allocator = allocator(segments: 6)
        #expect(allocator.claim(SlotRun(first: 200, count: 1)))
        #expect(
            allocator.claimAcrossWords(of: 0..<768, SlotRequest(slotCount: 300)) == 201)
        let aligned = SlotRequest(slotCount: 200, stride: 128)
        #expect(allocator.claimAcrossWords(of: 0..<768, aligned) == 0)
        #expect(allocator.claimAcrossWords(of: 0..<768, aligned) == 512)
        #expect(allocator.claimAcrossWords(of: 0..<768, aligned) == nil)
    }

    @Test func claimsInASegmentEqualABruteForceSearch() {
        var generator = SeededGenerator()
        for _ in 0..<300 {
            let allocator = allocator(segments: 1)
            for _ in 0..<generator.below(generator.below(2) == 0 ? 100 : 6) {
                _ = allocator.claim(SlotRun(first: generator.below(128), count: 1))
            }
            let free = (0..<128).map { allocator.bitmap.isFree($0) }
            let request = SlotRequest.random(slotCount: 1 + generator.below(128), &generator)
            let starts = (0...128 - request.slotCount).filter { start in
                request.allows(start)
                    && free[start..<start + request.slotCount].allSatisfy { $0 }
            }
            // Runs within a word come first.
            let within = starts.first { $0 / 64 == ($0 + request.slotCount - 1) / 64 }
            let found = allocator.claim(request, preferring: 0)
            if found != within ?? starts.first {
                Issue.record("seed \(generator.seed): \(request)")
            }
        }
    }

    @Test func hintsOfASegmentThatWasEmptiedAndFilledAreRight() {
        let allocator = allocator(segments: 2)
        let whole = SlotRequest(slotCount: 128)
        for _ in 0..<10 {
            let first = allocator.claim(whole, preferring: 0)
            let second = allocator.claim(whole, preferring: 0)
            #expect(first == 0 && second == 128)
            #expect(allocator.claim(SlotRequest(slotCount: 1), preferring: 0) == nil)
            allocator.release(SlotRun(first: 0, count: 256))
        }
    }

    @Test func concurrentClaimsNeverOverlap() {
        let allocator = allocator(segments: 3)
        // How many threads hold a slot: never more than one.
        var counts = RigidArray<Atomic<Int>>(capacity: 384)
        for _ in 0..<384 { counts.append(Atomic(0)) }
        let holders = Holders(counts: counts)
        let seed = SeededGenerator().seed
        onThreads(5) { thread in
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            var held: [SlotRun] = []
            for _ in 0..<10_000 {
                if held.count < 4, generator.below(2) == 0 {
                    let count = 1 + generator.below(generator.below(3) == 0 ? 100 : 8)
                    let request = SlotRequest(slotCount: count)
                    guard let first = allocator.claim(request, preferring: 0) else { continue }
                    let run = SlotRun(first: first, count: count)
                    holders.add(1, to: run, expecting: 0, seed)
                    held.append(run)
                } else if !held.isEmpty {
                    let run = held.remove(at: generator.below(held.count))
                    holders.add(-1, to: run, expecting: 1, seed)
                    allocator.release(run)
                }
            }
            for run in held {
                holders.add(-1, to: run, expecting: 1, seed)
                allocator.release(run)
            }
        }
        #expect((0..<384).allSatisfy { allocator.bitmap.isFree($0) }, "seed \(seed)")
    }
}

private final class Holders: Sendable {
    private let counts: RigidArray<Atomic<Int>>

    init(counts: consuming RigidArray<Atomic<Int>>) {
        self.counts = counts
    }

    func add(_ amount: Int, to run: SlotRun, expecting expected: Int, _ seed: UInt64) {
        for slot in run.first..<run.first + run.count {
            let old = counts[slot].add(amount, ordering: .relaxed).oldValue
            if old != expected { Issue.record("slot \(slot) had \(old) holders, seed \(seed)") }
        }
    }
}
