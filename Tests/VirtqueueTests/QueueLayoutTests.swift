import SharedMemory
import Testing

@testable import Virtqueue

struct QueueLayoutTests {
    @Test(arguments: [1, 2, 256, 32768], [false, true])
    func areasAreApartAndAligned(size: Int, isPacked: Bool) {
        for tableLength in [0, min(size, 5)] {
            let layout = QueueLayout(size: size, isPacked: isPacked, tableLength: tableLength)
            let configuration = layout.configuration(
                at: RawRing.base, features: isPacked ? .packedRing : [])
            let counts = QueueConfiguration.areaByteCounts(size: size, isPacked: isPacked)
            var end = RawRing.base.rawValue
            for (address, byteCount) in [
                (configuration.descriptorArea, counts.descriptor),
                (configuration.driverArea, counts.driver),
                (configuration.deviceArea, counts.device),
                (
                    GuestAddress(RawRing.base.rawValue + UInt64(layout.tableOffset)),
                    16 * size * tableLength
                ),
            ] {
                #expect(address.rawValue >= end && address.rawValue < end + 64)
                #expect(address.rawValue % 64 == 0)
                end = address.rawValue + UInt64(byteCount)
            }
            let byteCount = UInt64(layout.byteCount)
            #expect(end <= RawRing.base.rawValue + byteCount)
            #expect(byteCount < end - RawRing.base.rawValue + 64)
            #expect(configuration.size == size && configuration.isPacked == isPacked)
        }
    }
}
