import Testing

@testable import SwiotlbPool

@Suite struct PoolGeometryTests {
    @Test func sizesAreThoseOfLinux() {
        #expect(PoolGeometry.slotByteCount == 2048)
        #expect(PoolGeometry.segmentSlotCount == 128)
        #expect(PoolGeometry.segmentByteCount == 256 << 10)
    }

    @Test(arguments: [
        (0 as UInt64, 256 << 10), (511, 254 << 10), (2047, 254 << 10), (4095, 252 << 10),
        (65535, 192 << 10), (131071, 128 << 10), (262143, 0),
    ])
    func longestMappingIsASegmentLessTheRoundedUpMask(mask: UInt64, byteCount: Int) {
        let constraints = DMAConstraints(minimumAlignmentMask: mask)
        #expect(PoolGeometry.maximumMappingByteCount(for: constraints) == byteCount)
    }
}
