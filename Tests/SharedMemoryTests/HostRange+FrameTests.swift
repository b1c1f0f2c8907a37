import Testing

@testable import SharedMemory

struct HostRangeFrameTests {
    @Test("Words at any address", arguments: 0..<16)
    func twelveBytes(offset: Int) throws {
        let memory = try HostMemory.anonymous(byteCount: 64)
        let range = memory.hostRange(offset: offset, byteCount: 12)
        // SAFETY: the memory lives until the end of the test.
        unsafe range.storeTwelve((0x0807_0605_0403_0201 as UInt64, 0x0c0b_0a09))
        let all = memory.bytes(at: 0, byteCount: 64)
        #expect(Array(all[offset..<offset + 12]) == Array(1...12))
        #expect(all.filter { $0 != 0 }.count == 12)
        let words = unsafe range.loadTwelve()
        #expect(words.0 == 0x0807_0605_0403_0201 && words.1 == 0x0c0b_0a09)
    }

    @Test func copies() throws {
        let memory = try HostMemory.anonymous(byteCount: 64)
        let bytes = (0..<16).map { UInt8($0) }
        memory.store(bytes.span, at: 0)
        let source = memory.hostRange(offset: 1, byteCount: 10)
        let target = memory.hostRange(offset: 33, byteCount: 31)
        // SAFETY: the memory lives until the end of the test.
        unsafe target.copy(from: source, byteCount: 9)
        #expect(memory.bytes(at: 32, byteCount: 12) == [0] + Array(1...9) + [0, 0])
        unsafe HostRange.empty.copy(from: .empty, byteCount: 0)
    }

    @Test(arguments: [0, 1, 7, 8, 9, 63, 64, 65])
    func sums(byteCount: Int) throws {
        let memory = try HostMemory.anonymous(byteCount: 128)
        let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
        memory.store(bytes.span, at: 3)
        var expected: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            expected &+= UInt64(byte) << UInt64(index % 8 * 8)
        }
        // SAFETY: the memory lives until the end of the test.
        let sum = unsafe memory.hostRange(offset: 3, byteCount: byteCount).sum()
        #expect(sum == expected)
    }
}
