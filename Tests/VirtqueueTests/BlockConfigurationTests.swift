import Testing

@testable import Virtqueue

struct BlockConfigurationTests {
    /// Every field with bytes of its own.
    private var full: BlockConfiguration {
        var configuration = BlockConfiguration()
        configuration.sectorCount = 0x0807_0605_0403_0201
        configuration.segmentByteCountMax = 0x0c0b_0a09
        configuration.segmentCountMax = 0x100f_0e0d
        configuration.blockByteCount = 0x1817_1615
        configuration.physicalBlockExponent = 0x19
        configuration.ioBlockCountMin = 0x1c1b
        configuration.isWriteback = true
        configuration.queueCount = 0x2423
        configuration.discardSectorCountMax = 0x2827_2625
        configuration.discardSegmentCountMax = 0x2c2b_2a29
        configuration.discardSectorAlignment = 0x302f_2e2d
        configuration.zeroesSectorCountMax = 0x3433_3231
        configuration.zeroesSegmentCountMax = 0x3837_3635
        configuration.zeroesMayUnmap = true
        return configuration
    }

    /// `struct virtio_blk_config`, with zeroes for geometry, alignment offset and optimal length.
    private let bytes: [UInt8] = [
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
        0x10, 0, 0, 0, 0, 0x15, 0x16, 0x17, 0x18, 0x19, 0, 0x1b, 0x1c, 0, 0, 0, 0, 1, 0, 0x23,
        0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x32,
        0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 1, 0, 0, 0,
    ]

    @Test func layout() {
        #expect(full.bytes == bytes)
        #expect(bytes.count == BlockConfiguration.byteCount)
        #expect(BlockConfiguration(bytes: bytes) == full)
    }

    @Test func writebackByte() {
        var configuration = full
        configuration.isWriteback = false
        #expect(configuration.bytes[BlockConfiguration.writebackOffset] == 0)
        #expect(BlockConfiguration(bytes: configuration.bytes) == configuration)
    }

    @Test(arguments: 0...60) func shorterSpace(byteCount: Int) {
        let short = Array(bytes.prefix(byteCount))
        let padded = short + [UInt8](repeating: 0, count: 60 - byteCount)
        #expect(BlockConfiguration(bytes: short) == BlockConfiguration(bytes: padded))
        #expect(BlockConfiguration(bytes: padded + [1, 2, 3]) == BlockConfiguration(bytes: padded))
    }
}
