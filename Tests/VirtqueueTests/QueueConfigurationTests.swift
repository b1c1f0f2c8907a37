import Testing

@testable import Virtqueue

struct QueueConfigurationTests {
    @Test func sizesArePowersOfTwo() {
        let valid = (-10...70000).filter { QueueConfiguration.isValid(size: $0) }
        #expect(valid == (0...15).map { 1 << $0 })
    }

    /// The tables of 2.7 and 2.8.10.1.
    @Test func areaLengths() {
        #expect(QueueConfiguration.areaByteCounts(size: 256, isPacked: false) == (4096, 518, 2054))
        #expect(QueueConfiguration.areaByteCounts(size: 1, isPacked: false) == (16, 8, 14))
        #expect(QueueConfiguration.areaByteCounts(size: 256, isPacked: true) == (4096, 4, 4))
    }

    @Test func start() {
        #expect(QueuePosition.start(isPacked: false) == QueuePosition(available: 0, used: 0))
        // Both wrap counters begin with 1.
        #expect(
            QueuePosition.start(isPacked: true) == QueuePosition(available: 0x8000, used: 0x8000))
    }
}
