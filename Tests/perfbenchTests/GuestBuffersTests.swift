import SharedMemory
import Testing

@testable import perfbench

@Suite struct GuestBuffersTests {
    @Test(arguments: [(1 << 20, 4096), (1 << 20, 512), (1 << 20, 12288), (256 << 10, 65536)])
    func `visits every buffer before it returns to the first`(memory: Int, size: Int) {
        var buffers = GuestBuffers(guestMemoryByteCount: memory, bufferByteCount: size)
        let first = (0..<buffers.count).map { _ in buffers.next() }
        #expect(Set(first).count == buffers.count)
        #expect(buffers.next() == first[0])
    }

    @Test func `buffers lie inside guest memory and do not overlap`() {
        let memory = 1 << 20
        var buffers = GuestBuffers(guestMemoryByteCount: memory, bufferByteCount: 5000)
        let starts = (0..<buffers.count).map { _ in Int(buffers.next().address.rawValue) }.sorted()
        #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 >= 5000 })
        #expect(starts.allSatisfy { $0 % 4096 == 0 && $0 + 5000 <= memory })
    }
}
