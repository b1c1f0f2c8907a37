import Testing

@testable import SwiotlbPool

@Suite struct PoolGeometryTests {
    /// `IO_TLB_SIZE` and `IO_TLB_SEGSIZE`.
    @Test func standardSizesAreThoseOfLinux() throws {
        #expect(PoolGeometry.standard.slotByteCount == 2048)
        #expect(PoolGeometry.standard.segmentSlotCount == 128)
        #expect(PoolGeometry.standard.segmentByteCount == 256 << 10)
        #expect(PoolGeometry.standard.segmentsPerMapping == 1)
        #expect(try PoolGeometry() == .standard)
    }

    /// `swiotlb_max_mapping_size`.
    @Test(arguments: [
        (0 as UInt64, 256 << 10), (511, 254 << 10), (2047, 254 << 10), (4095, 252 << 10),
        (65535, 192 << 10), (131071, 128 << 10), (262143, 0), (524287, 0), (.max, 0),
    ])
    func longestMappingIsASegmentLessTheRoundedUpMask(mask: UInt64, byteCount: Int) {
        let constraints = DMAConstraints(minimumAlignmentMask: mask)
        #expect(PoolGeometry.standard.maximumMappingByteCount(for: constraints) == byteCount)
    }

    @Test(arguments: [
        (0 as UInt64, 256 << 10), (262143, 256 << 10), (524287, 0), (.max, 0),
    ])
    func alignedAllocationsFitASegment(mask: UInt64, byteCount: Int) {
        let constraints = DMAConstraints(allocationAlignmentMask: mask)
        #expect(PoolGeometry.standard.maximumMappingByteCount(for: constraints) == byteCount)
    }

    @Test(arguments: [
        (0 as UInt64, 0 as UInt64, 2048), (2047, 0, 2048), (4095, 0, 4096), (65535, 0, 65536),
        (65535, 4095, 61440), (4095, 4095, 0), ((1 << 20) - 1, 0, 262_144), (.max, 0, 262_144),
    ])
    func boundaryLimitsTheLongestMapping(boundary: UInt64, kept: UInt64, byteCount: Int) {
        let constraints = DMAConstraints(minimumAlignmentMask: kept, boundaryMask: boundary)
        #expect(PoolGeometry.standard.maximumMappingByteCount(for: constraints) == byteCount)
    }

    @Test func mappingsOfSeveralSegmentsAreAsLongAsThese() throws {
        let geometry = try PoolGeometry(segmentsPerMapping: 3)
        #expect(geometry.maximumMappingByteCount(for: DMAConstraints()) == 768 << 10)
        let nvme = DMAConstraints(minimumAlignmentMask: 4095)
        #expect(geometry.maximumMappingByteCount(for: nvme) == 764 << 10)
        #expect(geometry.runSlotCountMax == 384)
    }

    @Test(arguments: [
        (512, 64, 1), (65536, 4096, 1), (2048, 128, 64), (4096, 1024, 63), (1024, 4096, 15),
    ])
    func supportedSizes(slot: Int, segment: Int, perMapping: Int) throws {
        let geometry = try PoolGeometry(
            slotByteCount: slot, segmentSlotCount: segment, segmentsPerMapping: perMapping)
        #expect(geometry.slotByteCount == slot)
        #expect(geometry.segmentByteCount == slot * segment)
    }

    @Test(arguments: [
        (0, 128, 1), (-2048, 128, 1), (256, 128, 1), (131072, 128, 1), (3000, 128, 1),
        (2048, 0, 1), (2048, 32, 1), (2048, 8192, 1), (2048, 100, 1), (2048, -128, 1),
        (2048, 128, 0), (2048, 128, -1), (2048, 128, 65), (2048, 1024, 64), (2048, 4096, 16),
        (.min, .min, .min), (.max, .max, .max),
    ])
    func otherSizesAreRefused(slot: Int, segment: Int, perMapping: Int) {
        #expect(throws: PoolError.unsupportedGeometry) {
            _ = try PoolGeometry(
                slotByteCount: slot, segmentSlotCount: segment, segmentsPerMapping: perMapping)
        }
    }
}
