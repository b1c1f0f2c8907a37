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

    /// The rules of `swiotlb_tbl_map_single` and `swiotlb_search_pool_area`, worked out by hand.
    @Test(arguments: cases)
    func requestIsWhatLinuxWouldAskFor(_ expected: Case) {
        let request = SlotRequest(
            address: expected.address, byteCount: expected.byteCount,
            placement: Placement(
                DMAConstraints(
                    minimumAlignmentMask: expected.kept, allocationAlignmentMask: expected.start),
                .standard, base: 0))
        #expect(request.slotCount == expected.slotCount)
        #expect(request.offset == expected.offset)
        #expect(request.stride == expected.stride)
        #expect(request.residue == expected.residue)
    }

    @Test func pageRuleDoesNotRoundTheSizeUp() {
        // Linux aligns the start of 4097 bytes to a page, and takes three slots.
        let request = SlotRequest(
            address: 0, byteCount: 4097, placement: Placement(DMAConstraints(), .standard, base: 0))
        #expect(request.stride == 2)
        #expect(request.slotCount == 3)
    }

    /// The boundary is `dma_get_seg_boundary`'s, and a run crosses none as `iommu_is_span_boundary`
    /// says.
    @Test func startsAreTheSlotsThatTheRuleAllows() {
        var generator = SeededGenerator()
        let masks: [UInt64] = [0, 511, 2047, 4095, 8191, 65535, 131071, 262143]
        for kept in masks {
            for start in masks {
                for _ in 0..<12 {
                    let boundary: UInt64 = [.max, 4095, 16383, 65535, 262143, (1 << 20) - 1][
                        generator.below(6)]
                    let constraints = DMAConstraints(
                        minimumAlignmentMask: kept, allocationAlignmentMask: start,
                        boundaryMask: boundary)
                    let address = generator.next() >> 8
                    let byteCount = 1 + generator.below(8192)
                    let base = generator.below(1 << 22) * 128
                    let request = SlotRequest(
                        address: address, byteCount: byteCount,
                        placement: Placement(constraints, .standard, base: base))
                    let rule = PlacementRule(
                        address: address, byteCount: byteCount, constraints: constraints)
                    let allowed = (0..<300).map { slot in
                        let device = UInt64(base + slot) * 2048
                        let last = device + UInt64(rule.slotCount) * 2048 - 1
                        return rule.allows(startAt: device) && device | boundary == last | boundary
                    }
                    check(request, allowed, "seed \(generator.seed) kept \(kept) start \(start)")
                    if request.slotCount != rule.slotCount || request.offset != Int(rule.offset) {
                        Issue.record("seed \(generator.seed) kept \(kept) start \(start)")
                    }
                }
            }
        }
    }

    /// Every stride, residue and boundary: which slots may begin a run does not depend on who is
    /// asked.
    @Test func startsFirstStartAndAllowsAgree() {
        for stride in (0...8).map({ 1 << $0 }) {
            for residue in Set([0, 1, 31, 63, 64, 65, stride / 2, stride - 1])
            where residue < stride {
                for boundary in [1, 2, 4, 16, 32, 64, 128, 256, .max] {
                    for count in [1, 2, 3, 15, 33, 64] where count <= boundary {
                        let base = 3 * 128
                        let request = SlotRequest(
                            slotCount: count, stride: stride, residue: residue,
                            boundary: boundary, base: base)
                        let allowed = (0..<400).map { slot in
                            let block = boundary == .max ? 0 : (slot + base) / boundary
                            let last = boundary == .max ? 0 : (slot + base + count - 1) / boundary
                            return slot % stride == residue && block == last
                        }
                        check(request, allowed, "\(request)")
                    }
                }
            }
        }
    }

    /// Compares with what each slot allows.
    private func check(_ request: SlotRequest, _ allowed: [Bool], _ comment: String) {
        for slot in allowed.indices where request.allows(slot) != allowed[slot] {
            Issue.record("allows(\(slot)): \(comment)")
            return
        }
        for word in stride(from: 0, to: allowed.count - 64, by: 64) {
            let starts = request.starts(inWordAt: word)
            // Of those that end in the word.
            for bit in 0..<64 where bit + request.slotCount <= 64 {
                if (starts >> UInt64(bit) & 1 == 1) != allowed[word + bit] {
                    Issue.record("starts(inWordAt: \(word)) bit \(bit): \(comment)")
                    return
                }
            }
        }
        for slot in stride(from: 0, to: allowed.count, by: 7) {
            // It need not be allowed, but nothing before it may be.
            let first = request.firstStart(from: slot)
            let next = allowed[slot...].firstIndex(of: true) ?? .max
            if first < slot || first > next {
                Issue.record("firstStart(from: \(slot)): \(comment)")
                return
            }
        }
    }

    @Test func boundaryBelowASlotCountsAsASlot() {
        let placement = Placement(DMAConstraints(boundaryMask: 511), .standard, base: 128)
        #expect(placement.boundary == 1)
        #expect(Placement(DMAConstraints(boundaryMask: 4095), .standard, base: 0).boundary == 2)
        #expect(Placement(DMAConstraints(), .standard, base: 0).boundary == .max)
        #expect(!Placement(DMAConstraints(), .standard, base: 0).isConstrained)
    }

    @Test func slotsLargerThanAPageBeginAtPagesAnyway() throws {
        let geometry = try PoolGeometry(slotByteCount: 8192)
        let request = SlotRequest(
            address: 5, byteCount: 8193,
            placement: Placement(DMAConstraints(), geometry, base: 0))
        #expect(request == SlotRequest(slotCount: 2))
    }

    @Test func lengthenedKeepsAllElse() {
        let request = SlotRequest(
            slotCount: 3, offset: 5, stride: 4, residue: 1, boundary: 16, base: 128)
        for (mask, slotCount) in [(UInt64(0), 9), (2047, 9), (4095, 10), (16383, 16)] {
            let placement = Placement(
                DMAConstraints(allocationAlignmentMask: mask), .standard, base: 128)
            #expect(
                request.lengthened(to: 9, placement)
                    == SlotRequest(
                        slotCount: slotCount, offset: 5, stride: 4, residue: 1, boundary: 16,
                        base: 128))
        }
    }

    @Test func alignmentMaskThatIsNoPowerOfTwoLessOneTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = DMAConstraints(minimumAlignmentMask: 4096)
        }
    }

    @Test func boundaryMaskThatIsNoPowerOfTwoLessOneTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = DMAConstraints(boundaryMask: 6)
        }
    }
}
