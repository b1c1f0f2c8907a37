import SharedMemory
import SystemPackage
import TestSupport
import Testing

@Suite struct HostMemoryCopyTests {
    @Test func copyMovesExactlyTheBytesAskedFor() throws {
        let source = try HostMemory.anonymous(byteCount: 4096)
        let target = try HostMemory.anonymous(byteCount: 4096)
        source.fill(at: 0, byteCount: 4096, with: 5)
        target.fill(at: 0, byteCount: 4096, with: 9)
        target.copy(at: 10, from: source, at: 3, byteCount: 7)
        var expected = [UInt8](repeating: 9, count: 4096)
        for index in 10..<17 { expected[index] = 5 }
        #expect(target.bytes(at: 0, byteCount: 4096) == expected)
        #expect(source.bytes(at: 0, byteCount: 4096) == [UInt8](repeating: 5, count: 4096))
    }

    @Test func copyUpToTheLastByteAndOfNothingAtTheEndIsAllowed() throws {
        let source = try HostMemory.anonymous(byteCount: 4096)
        let target = try HostMemory.anonymous(byteCount: 8192)
        source.fill(at: 4095, byteCount: 1, with: 1)
        target.copy(at: 4096, from: source, at: 0, byteCount: 4096)
        #expect(target.bytes(at: 8191, byteCount: 1) == [1])
        target.copy(at: 8192, from: source, at: 4096, byteCount: 0)
        #expect(target.bytes(at: 8192, byteCount: 0) == [])
    }

    @Test func copyOneBytePastTheTargetTraps() async {
        await #expect(processExitsWith: .failure) {
            let source = try HostMemory.anonymous(byteCount: 8192)
            let target = try HostMemory.anonymous(byteCount: 4096)
            target.copy(at: 1, from: source, at: 0, byteCount: 4096)
        }
    }

    @Test func copyOneBytePastTheSourceTraps() async {
        await #expect(processExitsWith: .failure) {
            let source = try HostMemory.anonymous(byteCount: 4096)
            let target = try HostMemory.anonymous(byteCount: 8192)
            target.copy(at: 0, from: source, at: 1, byteCount: 4096)
        }
    }

    @Test func copyOfANegativeLengthTraps() async {
        await #expect(processExitsWith: .failure) {
            let memory = try HostMemory.anonymous(byteCount: 4096)
            memory.copy(at: 0, from: memory, at: 0, byteCount: -1)
        }
    }

    @Test func copyAtANegativeOffsetTraps() async {
        await #expect(processExitsWith: .failure) {
            let memory = try HostMemory.anonymous(byteCount: 8192)
            memory.copy(at: -8, from: memory, at: 100, byteCount: 8)
        }
    }

    @Test func copyWhoseEndOverflowsTraps() async {
        await #expect(processExitsWith: .failure) {
            let memory = try HostMemory.anonymous(byteCount: 4096)
            memory.copy(at: 1, from: memory, at: 0, byteCount: .max)
        }
    }

    @Test func storedBytesAreReadBackAndNeighboursKept() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        memory.fill(at: 0, byteCount: 4096, with: 0xaa)
        let bytes: [UInt8] = [1, 2, 3]
        memory.store(bytes.span, at: 4093)
        #expect(memory.bytes(at: 4092, byteCount: 4) == [0xaa, 1, 2, 3])
        let none: [UInt8] = []
        memory.store(none.span, at: 4096)
        memory.fill(at: 4096, byteCount: 0, with: 1)
        #expect(memory.bytes(at: 4092, byteCount: 4) == [0xaa, 1, 2, 3])
    }

    @Test func storePastTheEndTraps() async {
        await #expect(processExitsWith: .failure) {
            let bytes: [UInt8] = [1, 2]
            try HostMemory.anonymous(byteCount: 4096).store(bytes.span, at: 4095)
        }
    }

    @Test func fillPastTheEndTraps() async {
        await #expect(processExitsWith: .failure) {
            try HostMemory.anonymous(byteCount: 4096).fill(at: 4090, byteCount: 7, with: 1)
        }
    }

    @Test func fileIsWrittenAndReadAtItsOffset() throws {
        var generator = SeededGenerator()
        let bytes = generator.bytes(5000)
        let memory = try HostMemory.anonymous(byteCount: 8192)
        memory.store(bytes.span, at: 11)
        let file = try TemporaryFile([7, 7, 7])
        let written = try memory.write(
            to: file.descriptor, atFileOffset: 2, offset: 11, byteCount: 5000)
        #expect(written == 5000)
        #expect(try file.contents() == [7, 7] + bytes, "seed \(generator.seed)")
        let other = try HostMemory.anonymous(byteCount: 8192)
        let read = try other.read(
            from: file.descriptor, atFileOffset: 2, offset: 100, byteCount: 5000)
        #expect(read == 5000)
        #expect(other.bytes(at: 100, byteCount: 5000) == bytes, "seed \(generator.seed)")
        #expect(other.bytes(at: 99, byteCount: 1) == [0])
        #expect(other.bytes(at: 5100, byteCount: 1) == [0])
    }

    @Test func readStopsAtTheEndOfTheFile() throws {
        let file = try TemporaryFile([1, 2, 3])
        let memory = try HostMemory.anonymous(byteCount: 4096)
        memory.fill(at: 0, byteCount: 4096, with: 9)
        let count = try memory.read(
            from: file.descriptor, atFileOffset: 1, offset: 0, byteCount: 4096)
        #expect(count == 2)
        #expect(memory.bytes(at: 0, byteCount: 3) == [2, 3, 9])
        #expect(
            try memory.read(from: file.descriptor, atFileOffset: 3, offset: 0, byteCount: 1) == 0)
    }

    @Test func transferErrorsNameTheCall() throws {
        let file = try TemporaryFile([1])
        let memory = try HostMemory.anonymous(byteCount: 4096)
        let readOnly = try file.reopened(.readOnly)
        defer { try? readOnly.close() }
        #expect(throws: SystemCallError("pwrite", .badFileDescriptor)) {
            try memory.write(to: readOnly, atFileOffset: 0, offset: 0, byteCount: 1)
        }
        #expect(throws: SystemCallError("pread", .invalidArgument)) {
            _ = try memory.read(
                from: file.descriptor, atFileOffset: -1, offset: 0, byteCount: 1)
        }
    }
}
