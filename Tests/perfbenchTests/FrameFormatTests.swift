import Testing
import Virtqueue

@testable import perfbench

@Suite struct FrameFormatTests {
    /// The sum of words in one's complement (RFC 1071).
    private func sum(_ bytes: some Sequence<UInt8>) -> Int {
        var sum = 0
        for (index, byte) in bytes.enumerated() {
            sum += Int(byte) << (index % 2 == 0 ? 8 : 0)
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return sum
    }

    private func word(_ bytes: [UInt8], _ offset: Int) -> Int {
        Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
    }

    @Test func `a plain frame asks for nothing`() {
        let format = FrameFormat(plain: 64)
        #expect(format.header == NetHeader())
        #expect(format.transmitFeatures.rawValue == 0)
        #expect(Array(format.prefix[12...]) == [0x88, 0xb5])
        #expect(format.contents(ofFrame: 3, from: .driver).count == 64)
    }

    @Test(arguments: [1515, 9000, 65226, 65535])
    func `a frame to segment has the headers of TCP over IPv4`(byteCount: Int) {
        let format = FrameFormat(segmented: byteCount, mtu: 1500)
        let frame = format.contents(ofFrame: 0, from: .host)
        #expect(frame.count == byteCount)
        #expect(Array(frame[12..<15]) == [8, 0, 0x45])
        #expect(word(frame, 16) == byteCount - 14)
        #expect(frame[23] == 6)
        // With its checksum in it, the header sums to all ones.
        #expect(sum(frame[14..<34]) == 0xffff)
        // TCP's header is 32 bytes long; its checksum is that of addresses, protocol and length alone.
        #expect(frame[46] == 0x80)
        let length = byteCount - 34
        let pseudo = frame[26..<34] + [0, 6, UInt8(length >> 8), UInt8(length & 0xff)]
        #expect(word(frame, 50) == sum(pseudo))
        #expect(format.header.segmentation == NetHeader.Segmentation.tcp4)
        #expect(format.header.segmentByteCount == 1448)
        #expect(format.header.headerByteCount == 66)
        #expect(format.header.checksumStart == 34)
        #expect(format.header.checksumOffset == 16)
        #expect(format.transmitFeatures == [.netChecksum, .netHostTSO4])
        #expect(format.receiveFeatures == [.netGuestChecksum, .netGuestTSO4])
    }

    @Test func `frames differ by number and by sender`() {
        let format = FrameFormat(plain: 64)
        let frames = Set(
            (0..<8).flatMap { number in
                [.driver, .host].map { format.contents(ofFrame: number, from: $0) }
            })
        #expect(frames.count == 16)
        #expect(frames.allSatisfy { FrameFormat.isOwn($0) })
        #expect(!FrameFormat.isOwn([UInt8](repeating: 2, count: 64)))
    }
}
