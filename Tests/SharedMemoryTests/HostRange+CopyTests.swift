import SharedMemory
import Testing

@Suite struct HostRangeCopyTests {
    @Test func clearLeavesTheNeighboursAlone() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        memory.fill(at: 0, byteCount: 4096, with: 7)
        // SAFETY: the memory lives until the end of the test.
        unsafe memory.hostRange(offset: 1, byteCount: 4094).clear()
        var expected = [UInt8](repeating: 0, count: 4096)
        expected[0] = 7
        expected[4095] = 7
        #expect(memory.bytes(at: 0, byteCount: 4096) == expected)
    }

    @Test func emptyRangeHasNoBytesToClear() throws {
        #expect(HostRange.empty.byteCount == 0)
        let memory = try HostMemory.anonymous(byteCount: 4096)
        // SAFETY: no byte is touched.
        unsafe HostRange.empty.clear()
        unsafe memory.hostRange(offset: 4096, byteCount: 0).clear()
    }
}
