import SharedMemory
import SystemPackage
import TestSupport
import Testing

@testable import Uring

@Suite(.enabled(if: ringsAreAllowed)) struct RingRegisterTests {
    @Test func registeredBuffersAreCounted() throws {
        let memory = try HostMemory.anonymous(byteCount: 16384)
        var ring = try Ring(entryCount: 2)
        let before = ring.registeredBufferCount
        try ring.registerBuffers([
            memory.hostRange(offset: 0, byteCount: 4096),
            memory.hostRange(offset: 8192, byteCount: 4096),
        ])
        let after = ring.registeredBufferCount
        #expect(before == 0)
        #expect(after == 2)
    }

    @Test func registeringBuffersTwiceThrowsAndKeepsTheFirst() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        var ring = try Ring(entryCount: 2)
        try ring.registerBuffers([memory.hostRange])
        var thrown: SystemCallError?
        do throws(SystemCallError) {
            try ring.registerBuffers([memory.hostRange, memory.hostRange])
        } catch {
            thrown = error
        }
        let count = ring.registeredBufferCount
        #expect(thrown == SystemCallError("io_uring_register", .resourceBusy))
        #expect(count == 1)
    }

    @Test func registeringNoFilesThrows() throws {
        var ring = try Ring(entryCount: 2)
        var thrown: SystemCallError?
        do throws(SystemCallError) {
            try ring.registerFiles([])
        } catch {
            thrown = error
        }
        #expect(thrown?.operation == "io_uring_register")
    }

    @Test func filesAndBuffersAreNamedByTheirPlaceInTheList() throws {
        let memory = try HostMemory.anonymous(byteCount: 8192)
        let files = try [TemporaryFile([1]), TemporaryFile([2])]
        var ring = try Ring(entryCount: 2)
        try ring.registerFiles(files.map(\.descriptor))
        // An optimised build could close them before.
        withExtendedLifetime(files) {}
        try ring.registerBuffers([
            memory.hostRange(offset: 0, byteCount: 4096),
            memory.hostRange(offset: 4096, byteCount: 4096),
        ])
        for index in 0..<2 {
            _ = ring.prepare(
                .read, memory.hostRange(offset: index * 4096, byteCount: 1),
                file: FixedFile(index: index), fileOffset: 0, buffer: FixedBuffer(index: index),
                tag: UInt64(index))
        }
        #expect(try ring.complete(2).allSatisfy { $0.result == 1 })
        #expect(memory.bytes(at: 0, byteCount: 1) == [1])
        #expect(memory.bytes(at: 4096, byteCount: 1) == [2])
    }
}
