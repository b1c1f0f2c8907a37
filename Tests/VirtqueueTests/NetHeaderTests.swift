import Testing
import Virtqueue

struct NetHeaderTests {
    @Test("Every field stands where the specification has it")
    func layout() {
        // Little-endian, byte by byte (5.1.6).
        let first: UInt64 = 0x0807_0605_0403_0201
        let second: UInt32 = 0x0c0b_0a09
        let header = NetHeader(words: (first.littleEndian, second.littleEndian))
        #expect(header.flags == 0x01)
        #expect(header.segmentation == 0x02)
        #expect(header.headerByteCount == 0x0403)
        #expect(header.segmentByteCount == 0x0605)
        #expect(header.checksumStart == 0x0807)
        #expect(header.checksumOffset == 0x0a09)
        #expect(header.bufferCount == 0x0c0b)
        #expect(header.words == (first.littleEndian, second.littleEndian))
        #expect(NetHeader().words == (0, 0))
    }

    @Test func lengthsOfFrames() {
        #expect(EthernetFrame.byteCountMax(mtu: 1500) == 1518)
        // What 65562 bytes of room leave behind the header (5.1.6.3.1), and a tag.
        #expect(EthernetFrame.byteCountMax == 65562 - NetHeader.byteCount + 4)
    }
}
