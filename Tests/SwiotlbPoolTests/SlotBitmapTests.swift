import BasicContainers
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

@Suite struct SlotBitmapTests {
    @Test func runStartsEqualABruteForceSearchForEveryLength() {
        var generator = SeededGenerator()
        for round in 0..<40 {
            var free = UInt128(generator.next()) << 64 | UInt128(generator.next())
            // Sparse, even and dense words, so that long runs come up too.
            switch round % 4 {
            case 0: free &= UInt128(generator.next()) << 64 | UInt128(generator.next())
            case 1: break
            default:
                free = .max
                for _ in 0..<generator.below(6) { free &= ~(1 << UInt128(generator.below(128))) }
            }
            for count in 1...128 {
                var expected = UInt128(0)
                var run = 0
                for slot in stride(from: 127, through: 0, by: -1) {
                    run = free >> UInt128(slot) & 1 == 1 ? run + 1 : 0
                    if run >= count { expected |= 1 << UInt128(slot) }
                }
                if SlotBitmap.runStarts(in: free, count: count) != expected {
                    Issue.record("seed \(generator.seed) free \(free) count \(count)")
                }
            }
        }
    }

    @Test func runStartsOfAnEmptySegmentAllowOneFullRun() {
        #expect(SlotBitmap.runStarts(in: UInt128.max, count: 128) == 1)
        #expect(SlotBitmap.runStarts(in: UInt128.max, count: 127) == 3)
        #expect(SlotBitmap.runStarts(in: UInt128(0), count: 1) == 0)
    }

    @Test func newBitmapIsAllFree() {
        let bitmap = SlotBitmap(slotCount: 256)
        #expect(bitmap.segmentCount == 2)
        let (free, longest) = bitmap.measure()
        #expect(free == 256)
        #expect(longest == 128, "a run does not cross segments")
    }

    @Test(arguments: [1, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255])
    func slotsOfAPartialLastSegmentAreAllThatCanBeClaimed(slotCount: Int) {
        let bitmap = SlotBitmap(slotCount: slotCount)
        #expect(bitmap.measure().freeSlotCount == slotCount)
        var claimed: [Int] = []
        for segment in 0..<bitmap.segmentCount {
            while let first = bitmap.claimLowest(segment: segment, count: 1, starts: .max) {
                claimed.append(first)
            }
        }
        #expect(claimed == Array(0..<slotCount))
        #expect(bitmap.measure().freeSlotCount == 0)
    }

    @Test func claimAcrossTheTwoWordsTakesAllOrNothing() {
        let bitmap = SlotBitmap(slotCount: 128)
        #expect(bitmap.claim(SlotRun(first: 70, count: 1)))
        #expect(!bitmap.claim(SlotRun(first: 60, count: 20)), "slot 70 is taken")
        #expect(bitmap.freeSlots(ofSegment: 0) == ~(1 << 70), "the low word was given back")
        #expect(bitmap.claim(SlotRun(first: 60, count: 10)))
        #expect(bitmap.freeSlots(ofSegment: 0) == ~(0x7ff << 60))
        #expect(!bitmap.claim(SlotRun(first: 50, count: 11)))
        bitmap.release(SlotRun(first: 60, count: 10))
        bitmap.release(SlotRun(first: 70, count: 1))
        #expect(bitmap.freeSlots(ofSegment: 0) == .max)
    }

    @Test func wholeSegmentIsClaimedAndReleased() {
        let bitmap = SlotBitmap(slotCount: 256)
        #expect(bitmap.claim(SlotRun(first: 128, count: 128)))
        #expect(bitmap.freeSlots(ofSegment: 1) == 0)
        #expect(bitmap.freeSlots(ofSegment: 0) == .max)
        bitmap.release(SlotRun(first: 128, count: 128))
        #expect(bitmap.freeSlots(ofSegment: 1) == .max)
    }

    @Test func claimLowestTakesTheLowestRunThatMayStartThere() {
        let bitmap = SlotBitmap(slotCount: 128)
        let fours = (0..<32).reduce(UInt128(0)) { $0 | 1 << UInt128($1 * 4) }
        #expect(bitmap.claimLowest(segment: 0, count: 3, starts: fours) == 0)
        #expect(bitmap.claimLowest(segment: 0, count: 1, starts: .max) == 3)
        #expect(bitmap.claimLowest(segment: 0, count: 1, starts: fours) == 4)
        #expect(bitmap.claimLowest(segment: 0, count: 5, starts: fours) == 8)
        #expect(bitmap.claimLowest(segment: 0, count: 1, starts: 1) == nil)
        #expect(bitmap.claimLowest(segment: 0, count: 128, starts: .max) == nil)
    }

    @Test func measureFindsTheLongestRun() {
        let bitmap = SlotBitmap(slotCount: 256)
        #expect(bitmap.claim(SlotRun(first: 50, count: 1)))
        #expect(bitmap.claim(SlotRun(first: 228, count: 28)))
        #expect(bitmap.claim(SlotRun(first: 128, count: 10)))
        let (free, longest) = bitmap.measure()
        #expect(free == 256 - 39)
        #expect(longest == 90)
    }

    @Test func releasingAFreeSlotTraps() async {
        await #expect(processExitsWith: .failure) {
            SlotBitmap(slotCount: 128).release(SlotRun(first: 5, count: 1))
        }
    }

    @Test func releasingARunOfWhichOneSlotIsFreeTraps() async {
        await #expect(processExitsWith: .failure) {
            let bitmap = SlotBitmap(slotCount: 128)
            _ = bitmap.claim(SlotRun(first: 60, count: 9))
            bitmap.release(SlotRun(first: 60, count: 10))
        }
    }

    @Test func concurrentClaimsNeverOverlap() {
        let bitmap = SlotBitmap(slotCount: 300)
        // How many threads hold a slot: never more than one.
        var counts = RigidArray<Atomic<Int>>(capacity: 300)
        for _ in 0..<300 { counts.append(Atomic(0)) }
        let holders = Holders(counts: counts)
        let seed = SeededGenerator().seed
        onThreads(5) { thread in
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            var held: [SlotRun] = []
            for _ in 0..<20_000 {
                if held.count < 4, generator.below(2) == 0 {
                    let segment = generator.below(3)
                    let count = 1 + generator.below(generator.below(3) == 0 ? 100 : 8)
                    guard
                        let first = bitmap.claimLowest(
                            segment: segment, count: count, starts: .max)
                    else { continue }
                    let run = SlotRun(first: first, count: count)
                    holders.add(1, to: run, expecting: 0, seed)
                    held.append(run)
                } else if !held.isEmpty {
                    let run = held.remove(at: generator.below(held.count))
                    holders.add(-1, to: run, expecting: 1, seed)
                    bitmap.release(run)
                }
            }
            for run in held {
                holders.add(-1, to: run, expecting: 1, seed)
                bitmap.release(run)
            }
        }
        #expect(bitmap.measure().freeSlotCount == 300)
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
