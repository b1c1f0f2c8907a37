import SharedMemory
import SystemPackage
import Testing

@Suite struct SystemCallErrorTests {
    @Test func descriptionNamesTheCallAndTheReason() {
        let error = SystemCallError("mmap", .noMemory)
        #expect(error.description == "mmap: \(Errno.noMemory)")
        #expect(error != SystemCallError("mmap", .invalidArgument))
        #expect(error != SystemCallError("fstat", .noMemory))
    }
}
