import Testing
import VhostUser

@Suite struct VhostUserMessageHeaderTests {
    @Test func headerIsThreeWordsInThisMachinesOrder() throws {
        let header = MessageHeader(
            code: 5, flags: [.version1, .needsReply], payloadByteCount: 0x0102)
        let expected = [5, 9, 0x0102].flatMap { (word: UInt32) -> [UInt8] in
            (0..<4).map { UInt8(truncatingIfNeeded: word.littleEndian >> (8 * $0)) }
        }
        #expect(header.bytes == expected)
        #expect(try MessageHeader(header.bytes) == header)
    }

    @Test(arguments: [0, 11, 13]) func headerOfAnotherLengthIsRefused(byteCount: Int) {
        let bytes = Array(
            (MessageHeader(code: 1, flags: .version1, payloadByteCount: 0).bytes + [0])
                .prefix(byteCount))
        #expect(throws: MalformedMessage.truncated) { try MessageHeader(bytes) }
    }

    @Test(arguments: [0, 2, 3, 4, 8] as [UInt32])
    func otherVersionsAreRefused(flags: UInt32) {
        let header = MessageHeader(
            code: 1, flags: MessageHeader.Flags(rawValue: flags), payloadByteCount: 0)
        #expect(throws: MalformedMessage.version(flags & 3)) { try MessageHeader(header.bytes) }
    }

    @Test func payloadOfMoreThanFourKibibytesIsRefused() throws {
        var header = MessageHeader(code: 1, flags: .version1, payloadByteCount: 4096)
        #expect(try MessageHeader(header.bytes) == header)
        for byteCount in [4097, .max] as [UInt32] {
            header.payloadByteCount = byteCount
            #expect(throws: MalformedMessage.payloadTooLong(byteCount)) {
                try MessageHeader(header.bytes)
            }
        }
    }
}
