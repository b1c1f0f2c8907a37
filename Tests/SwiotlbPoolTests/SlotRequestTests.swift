import TestSupport
import Testing

@testable import SwiotlbPool

@Suite struct SlotRequestTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let address: UInt64
        let byteCount: Int
        let kept: UInt64
        let start: UInt64
        // Expected, by hand.
        let slotCount: Int
        let offset: Int
        let stride: Int
        let residue: Int

        init(
            _ address: UInt64, _ byteCount: Int, kept: UInt64 = 0, start: UInt64 = 0,
            slots: Int, offset: Int, stride: Int, residue: Int
        ) {
            self.address = address
            self.byteCount = byteCount
            self.kept = kept
            self.start = start
            slotCount = slots
            self.offset = offset
            self.stride = stride
            self.residue = residue
        }

        var testDescription: String {
            "\(byteCount) bytes at \(address) kept \(kept) start \(start)"
        }
    }

    static let cases: [Case] = [
        // No constraint: slots begin anywhere, the payload at their start.
        Case(0x12345, 1, slots: 1, offset: 0, stride: 1, residue: 0),
        Case(0x12345, 2048, slots: 1, offset: 0, stride: 1, residue: 0),
        Case(0x12345, 2049, slots: 2, offset: 0, stride: 1, residue: 0),
        Case(0x12345, 4095, slots: 2, offset: 0, stride: 1, residue: 0),
        // A page or more begins at a page.
        Case(0x12345, 4096, slots: 2, offset: 0, stride: 2, residue: 0),
        Case(0x12345, 8192, slots: 4, offset: 0, stride: 2, residue: 0),
        Case(0x12345, 262144, slots: 128, offset: 0, stride: 2, residue: 0),
        // Low bits below a slot become an offset into it.
        Case(0x12345, 512, kept: 511, slots: 1, offset: 0x145, stride: 1, residue: 0),
        Case(0x127ff, 1, kept: 2047, slots: 1, offset: 2047, stride: 1, residue: 0),
        Case(0x127ff, 2, kept: 2047, slots: 2, offset: 2047, stride: 1, residue: 0),
        // NVMe: bit 11 chooses the slot, and there is no page rule.
        Case(0x12000, 4096, kept: 4095, slots: 2, offset: 0, stride: 2, residue: 0),
        Case(0x12800, 4096, kept: 4095, slots: 2, offset: 0, stride: 2, residue: 1),
        Case(0x12fff, 4096, kept: 4095, slots: 3, offset: 2047, stride: 2, residue: 1),
        Case(0x1ffff, 1, kept: 65535, slots: 1, offset: 2047, stride: 32, residue: 31),
        Case(0x18800, 1, kept: 65535, slots: 1, offset: 0, stride: 32, residue: 17),
        // Aligned allocations: sizes are rounded up, the rest are pads behind the payload.
        Case(0x12345, 1, start: 4095, slots: 2, offset: 0, stride: 2, residue: 0),
        Case(0x12345, 1, start: 2047, slots: 1, offset: 0, stride: 1, residue: 0),
        Case(0x12345, 4097, start: 4095, slots: 4, offset: 0, stride: 2, residue: 0),
        Case(0x12345, 1, start: 65535, slots: 32, offset: 0, stride: 32, residue: 0),
        // Both: kept bits inside the aligned start make pads before the payload.
        Case(0x12800, 1, kept: 4095, start: 4095, slots: 2, offset: 2048, stride: 2, residue: 0),
        Case(0x12fff, 2, kept: 4095, start: 4095, slots: 4, offset: 4095, stride: 2, residue: 0),
        Case(0x12fff, 2, kept: 4095, start: 65535, slots: 32, offset: 4095, stride: 32, residue: 0),
        // Kept bits above the aligned start choose the start.
        Case(
            0x1b456, 100, kept: 65535, start: 4095, slots: 2, offset: 0x456, stride: 32,
            residue: 22),
    ]

    @Test(arguments: cases)
    func requestIsWhatLinuxWouldAskFor(_ expected: Case) {
        let request = SlotRequest(
            address: expected.address, byteCount: expected.byteCount,
            constraints: DMAConstraints(
                minimumAlignmentMask: expected.kept, allocationAlignmentMask: expected.start))
        #expect(request.slotCount == expected.slotCount)
        #expect(request.offset == expected.offset)
        #expect(request.stride == expected.stride)
        #expect(request.residue == expected.residue)
    }

    @Test func pageRuleDoesNotRoundTheSizeUp() {
        // Linux aligns the start of 4097 bytes to a page, and takes three slots.
        let request = SlotRequest(address: 0, byteCount: 4097, constraints: DMAConstraints())
        #expect(request.stride == 2)
        #expect(request.slotCount == 3)
    }

    @Test func startsAreTheSlotsThatTheRuleAllows() {
        var generator = SeededGenerator()
        let masks: [UInt64] = [0, 511, 2047, 4095, 8191, 65535, 131071, 262143]
        for kept in masks {
            for start in masks {
                let constraints = DMAConstraints(
                    minimumAlignmentMask: kept, allocationAlignmentMask: start)
                for _ in 0..<20 {
                    let address = generator.next() >> 8
                    let byteCount = 1 + generator.below(8192)
                    let number = generator.below(1 << 30) * [1, 128][generator.below(2)]
                    let request = SlotRequest(
                        address: address, byteCount: byteCount, constraints: constraints)
                    let rule = PlacementRule(
                        address: address, byteCount: byteCount, constraints: constraints)
                    var expected = UInt128(0)
                    for slot in 0..<128 where rule.allows(startAt: UInt64(number + slot) * 2048) {
                        expected |= 1 << UInt128(slot)
                    }
                    if request.starts(inSegmentAt: number) != expected {
                        Issue.record(
                            "seed \(generator.seed) kept \(kept) start \(start) at \(address)")
                    }
                    if request.slotCount != rule.slotCount || request.offset != Int(rule.offset) {
                        Issue.record(
                            "seed \(generator.seed) kept \(kept) start \(start) at \(address)")
                    }
                }
            }
        }
    }

    @Test func maskThatIsNoPowerOfTwoLessOneTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = DMAConstraints(minimumAlignmentMask: 4096)
        }
    }

    @Test func maskOfASegmentOrMoreTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = DMAConstraints(allocationAlignmentMask: (1 << 19) - 1)
        }
    }
}
