import SharedMemory
import Testing

@testable import Virtqueue

/// What a queue may be set up with.
struct DeviceQueueTests {
    private static let formats: [VirtioFeatures] = [[], .packedRing]

    private func fault(
        _ ring: RawRing, map: MemoryMap? = nil,
        _ change: (inout QueueConfiguration) -> Void
    ) -> QueueFault? {
        var configuration = ring.configuration
        change(&configuration)
        do throws(QueueFault) {
            _ = try DeviceQueue(
                configuration, memoryMap: map ?? ring.map,
                position: .start(isPacked: ring.isPacked))
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: formats, [Int.min, -1, 0, 3, 100, 32769, 65535, 65536, Int.max])
    func sizes(features: VirtioFeatures, size: Int) throws {
        let ring = try RawRing(size: 4, features: features)
        #expect(fault(ring) { $0.size = size } == .invalidSize(size))
        // As a driver too.
        #expect(!QueueConfiguration.isValid(size: size))
    }

    private static let areas:
        [(String, @Sendable (inout QueueConfiguration, UInt64) -> Void, Int, Int)] = [
            ("descriptor", { $0.descriptorArea = GuestAddress($1) }, 16, 16),
            ("driver", { $0.driverArea = GuestAddress($1) }, 2, 4),
            ("device", { $0.deviceArea = GuestAddress($1) }, 4, 4),
        ]

    @Test(arguments: formats, 0..<3) func addresses(features: VirtioFeatures, area: Int) throws {
        let ring = try RawRing(size: 4, features: features)
        let (name, set, split, packed) = Self.areas[area]
        let alignment = UInt64(ring.isPacked ? packed : split)
        let counts = QueueConfiguration.areaByteCounts(size: 4, isPacked: ring.isPacked)
        let byteCount = UInt64([counts.descriptor, counts.driver, counts.device][area])
        let start = RawRing.base.rawValue
        let end = start + UInt64(ring.memory.byteCount)
        let last = (end - byteCount) / alignment * alignment
        for address in [start, last] {
            #expect(fault(ring) { set(&$0, address) } == nil, "\(address)")
        }
        let outside = [
            0, start - alignment, last + alignment, end, UInt64.max / 16 * 16, 1 << 63,
        ]
        let crooked = [start + alignment / 2, start + alignment + 1]
        for address in outside + crooked {
            #expect(fault(ring) { set(&$0, address) } == .invalidAddress(area: name), "\(address)")
        }
    }

    /// Rings are in one region, also where another follows.
    @Test(arguments: formats, 0..<3) func areaAcrossRegions(
        features: VirtioFeatures, area: Int
    ) throws {
        let ring = try RawRing(size: 4, features: features)
        let offsets = [ring.descriptorOffset, ring.driverOffset, ring.deviceOffset]
        let middle = offsets[area] + 2
        let map = try MemoryMap([
            MemoryMap.Region(guestAddress: RawRing.base, memory: ring.memory, byteCount: middle),
            MemoryMap.Region(
                guestAddress: RawRing.address(middle), memory: ring.memory, memoryOffset: middle),
        ])
        #expect(fault(ring, map: map) { _ in } == .invalidAddress(area: Self.areas[area].0))
    }

    /// An address that is aligned for the driver may not be in this process.
    @Test(arguments: formats) func regionThatBeginsAnywhere(features: VirtioFeatures) throws {
        let ring = try RawRing(size: 4, features: features)
        let map = try MemoryMap([
            MemoryMap.Region(
                guestAddress: RawRing.base, memory: ring.memory, memoryOffset: 8,
                byteCount: ring.memory.byteCount - 8)
        ])
        #expect(fault(ring, map: map) { _ in } == .invalidAddress(area: "descriptor"))
    }
}
