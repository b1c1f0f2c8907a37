import TestSupport
import Testing

@testable import SwiotlbPool

@Suite struct SlotBitmapTests {
    /// A bitmap whose slots are all free.
    private func freeBitmap(_ slotCount: Int) -> SlotBitmap {
        let bitmap = SlotBitmap(slotLimit: slotCount)
        bitmap.release(SlotRun(first: 0, count: slotCount))
        return bitmap
    }

    private func free(_ bitmap: SlotBitmap, _ slotCount: Int) -> [Bool] {
        (0..<slotCount).map { bitmap.isFree($0) }
    }

    /// A bitmap of which a random part is free: sparse, even, or long runs.
    private func randomBitmap(
        _ slotCount: Int, _ generator: inout SeededGenerator
    ) -> (SlotBitmap, [Bool]) {
        let bitmap = freeBitmap(slotCount)
        let isSparse = generator.below(3) == 0
        for _ in 0..<generator.below(isSparse ? slotCount : slotCount / 40 + 2) {
            let slot = generator.below(slotCount)
            _ = bitmap.clear(1 << UInt64(slot % 64), inWord: slot / 64)
        }
        return (bitmap, free(bitmap, slotCount))
    }

    @Test func runStartsEqualABruteForceSearchForEveryLength() {
        var generator = SeededGenerator()
        for round in 0..<60 {
            var free = generator.next()
            // Sparse, even and dense words, so that long runs come up too.
            switch round % 4 {
            case 0: free &= generator.next()
            case 1: break
            default:
                free = .max
                for _ in 0..<generator.below(6) { free &= ~(1 << UInt64(generator.below(64))) }
            }
            for count in 1...64 {
                var expected = UInt64(0)
                var run = 0
                for slot in stride(from: 63, through: 0, by: -1) {
                    run = free >> UInt64(slot) & 1 == 1 ? run + 1 : 0
                    if run >= count { expected |= 1 << UInt64(slot) }
                }
                if SlotBitmap.runStarts(in: free, count: count) != expected {
                    Issue.record("seed \(generator.seed) free \(free) count \(count)")
                }
            }
        }
        #expect(SlotBitmap.runStarts(in: .max, count: 64) == 1)
        #expect(SlotBitmap.runStarts(in: .max, count: 63) == 3)
        #expect(SlotBitmap.runStarts(in: 0, count: 1) == 0)
    }

    @Test func slotsOfANewBitmapAreNotThereYet() {
        let bitmap = SlotBitmap(slotLimit: 200)
        #expect(free(bitmap, 200) == [Bool](repeating: false, count: 200))
        #expect(!bitmap.hasRun(of: 1, in: 0..<192))
    }

    @Test func clearTakesAllOrNothingOfAWord() {
        let bitmap = freeBitmap(128)
        #expect(bitmap.clear(0b1110, inWord: 1))
        #expect(!bitmap.clear(0b11000, inWord: 1))
        #expect(bitmap.word(1) == ~0b1110 && bitmap.word(0) == .max)
        #expect(bitmap.clear(.max, inWord: 0))
        #expect(bitmap.word(0) == 0)
        bitmap.release(SlotRun(first: 0, count: 64))
        bitmap.release(SlotRun(first: 65, count: 3))
        #expect(bitmap.word(0) == .max && bitmap.word(1) == .max)
    }

    @Test func releaseOverSeveralWordsSetsAllOfARun() {
        let bitmap = SlotBitmap(slotLimit: 384)
        bitmap.release(SlotRun(first: 50, count: 250))
        bitmap.release(SlotRun(first: 320, count: 64))
        #expect(
            (0..<384).allSatisfy {
                bitmap.isFree($0) == ((50..<300).contains($0) || $0 >= 320)
            })
    }

    @Test func claimWithinAWordTakesTheLowestRunThatMayBeginThere() {
        let bitmap = freeBitmap(128)
        let fours = { SlotRequest(slotCount: $0, stride: 4) }
        #expect(bitmap.claimWithinWord(of: 0..<128, fours(3)) == 0)
        #expect(bitmap.claimWithinWord(of: 0..<128, SlotRequest(slotCount: 1)) == 3)
        #expect(bitmap.claimWithinWord(of: 0..<128, fours(1)) == 4)
        #expect(bitmap.claimWithinWord(of: 0..<128, fours(5)) == 8)
        #expect(bitmap.claimWithinWord(of: 0..<128, SlotRequest(slotCount: 64)) == 64)
        #expect(bitmap.claimWithinWord(of: 0..<128, SlotRequest(slotCount: 52)) == nil)
    }

    @Test func claimsWithinAWordEqualABruteForceSearch() {
        var generator = SeededGenerator()
        for _ in 0..<600 {
            let slotCount = 64 * (1 + generator.below(6))
            let (bitmap, free) = randomBitmap(slotCount, &generator)
            let request = SlotRequest.random(slotCount: 1 + generator.below(20), &generator)
            let expected = (0..<slotCount).first { start in
                let end = start + request.slotCount
                return start / 64 == (end - 1) / 64 && request.allows(start)
                    && free[start..<end].allSatisfy { $0 }
            }
            let found = bitmap.claimWithinWord(of: 0..<slotCount, request)
            if found != expected { Issue.record("seed \(generator.seed): \(request)") }
            for slot in 0..<slotCount {
                let isTaken = found.map { ($0..<$0 + request.slotCount).contains(slot) } ?? false
                if bitmap.isFree(slot) != (free[slot] && !isTaken) {
                    Issue.record("seed \(generator.seed): slot \(slot)")
                }
            }
        }
    }

    @Test func hasRunEqualsABruteForceSearch() {
        var generator = SeededGenerator()
        for _ in 0..<300 {
            let slotCount = 64 * (1 + generator.below(5))
            let (bitmap, free) = randomBitmap(slotCount, &generator)
            var longest = 0
            var run = 0
            for isFree in free {
                run = isFree ? run + 1 : 0
                longest = max(longest, run)
            }
            for count in 1...slotCount
            where bitmap.hasRun(of: count, in: 0..<slotCount) != (count <= longest) {
                Issue.record("seed \(generator.seed): \(count) of \(longest)")
            }
        }
    }

    @Test func freeRunLengthEqualsABruteForceCount() {
        var generator = SeededGenerator()
        for _ in 0..<300 {
            // Segments of two words have a way of their own.
            let segment = [64, 128, 192][generator.below(3)]
            let (bitmap, free) = randomBitmap(384, &generator)
            guard let first = free.indices.filter({ free[$0] }).randomElement(using: &generator)
            else { continue }
            var end = first
            while end < 384, free[end], generator.below(10) > 0 { end += 1 }
            end = max(end, first + 1)
            let slots = first / segment * segment..<(first / segment + 1) * segment
            end = min(end, slots.upperBound)
            var (low, high) = (first, end)
            while low > slots.lowerBound, free[low - 1] { low -= 1 }
            while high < slots.upperBound, free[high] { high += 1 }
            let length = bitmap.freeRunLength(
                around: SlotRun(first: first, count: end - first), within: slots)
            if length != high - low {
                Issue.record("seed \(generator.seed): \(length), not \(high - low)")
            }
        }
    }

    /// Others may claim slots of a run before its releaser looks around it: the hint that is set then
    /// is what leads to the rest.
    @Test(arguments: [64, 128, 256])
    func runThatWasJustReleasedCountsAsFreeThoughItWasClaimedSince(segment: Int) {
        let bitmap = SlotBitmap(slotLimit: 256)
        bitmap.release(SlotRun(first: 10, count: 5))
        bitmap.release(SlotRun(first: 35, count: 1))
        let run = SlotRun(first: 15, count: 20)
        #expect(bitmap.freeRunLength(around: run, within: 0..<segment) == 26)
        let all = SlotRun(first: 0, count: segment)
        #expect(bitmap.freeRunLength(around: all, within: 0..<segment) == segment)
    }

    @Test func releasingAFreeSlotTraps() async {
        await #expect(processExitsWith: .failure) {
            let bitmap = SlotBitmap(slotLimit: 128)
            bitmap.release(SlotRun(first: 5, count: 1))
            bitmap.release(SlotRun(first: 5, count: 1))
        }
    }

    @Test func releasingARunOfWhichOneSlotIsFreeTraps() async {
        await #expect(processExitsWith: .failure) {
            let bitmap = SlotBitmap(slotLimit: 128)
            bitmap.release(SlotRun(first: 69, count: 1))
            bitmap.release(SlotRun(first: 60, count: 10))
        }
    }
}

extension SlotRequest {
    /// Any alignment, and a boundary now and then.
    static func random(slotCount: Int, _ generator: inout SeededGenerator) -> SlotRequest {
        let stride = 1 << generator.below(8)
        let boundary = generator.below(2) == 0 ? Int.max : 1 << (3 + generator.below(6))
        return SlotRequest(
            slotCount: slotCount, stride: stride, residue: generator.below(stride),
            boundary: boundary, base: 128 * generator.below(5))
    }
}
