import SharedMemory
import Testing

@Suite struct HostMemoryTests {
    @Test func hostRangeOfAPartIsOffsetFromTheWhole() throws {
        let memory = try HostMemory.anonymous(byteCount: 8192)
        let whole = memory.hostRange
        #expect(whole.byteCount == 8192)
        let part = memory.hostRange(offset: 100, byteCount: 50)
        #expect(part.address == whole.address + 100)
        #expect(part.byteCount == 50)
        #expect(memory.hostRange(offset: 8192, byteCount: 0).byteCount == 0)
    }

    @Test func hostRangePastTheEndTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = try HostMemory.anonymous(byteCount: 4096).hostRange(offset: 1, byteCount: 4096)
        }
    }

    @Test func privateMemoryIsNotSealed() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        #expect(!memory.isSealed)
        #expect(memory.fileDescriptor == nil)
    }
}
