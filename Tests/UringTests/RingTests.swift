import SharedMemory
import SystemPackage
import TestSupport
import Testing

@testable import Uring

@Suite(.enabled(if: ringsAreAllowed)) struct RingTests {
    @Test(arguments: [(1, 1), (2, 2), (3, 4), (33, 64), (64, 64), (1000, 1024)])
    func entryCountIsRoundedUpToAPowerOfTwo(asked: Int, got: Int) throws {
        let ring = try Ring(entryCount: asked)
        let count = ring.entryCount
        #expect(count == got)
    }

    @Test func flagsObtainedAreOneOfTheAttempts() throws {
        let ring = try Ring(entryCount: 4)
        let flags = ring.flags
        #expect(RingFlags.attempts.contains(flags))
    }

    @Test func newRingHasNothingToDo() throws {
        var ring = try Ring(entryCount: 4)
        try ring.submitAndWait(minimumCompletionCount: 0)
        let none = ring.nextCompletion() == nil
        let outstanding = ring.outstandingCount
        #expect(none)
        #expect(outstanding == 0)
    }

    @Test func aWaitWithATimeEndsWithoutACompletionAndTakesOneThatThereIs() throws {
        let file = try TemporaryFile()
        var ring = try Ring(entryCount: 4)
        try ring.submitAndWait(minimumCompletionCount: 1, timeoutNanoseconds: 1_000_000)
        let isEmpty = !ring.hasCompletion
        #expect(isEmpty)
        try ring.registerFiles([file.descriptor])
        _ = ring.prepareSync(file: FixedFile(index: 0), dataOnly: true, tag: 7)
        try ring.submitAndWait(minimumCompletionCount: 1, timeoutNanoseconds: 60_000_000_000)
        let tag = ring.nextCompletion()?.tag
        #expect(tag == 7)
    }

    @Test func outstandingCountsFromPreparedToTaken() throws {
        let file = try TemporaryFile()
        var ring = try Ring(entryCount: 4)
        try ring.registerFiles([file.descriptor])
        var counts: [Int] = []
        for tag in 0..<3 as Range<UInt64> {
            _ = ring.prepareSync(file: FixedFile(index: 0), dataOnly: true, tag: tag)
            counts.append(ring.outstandingCount)
        }
        try ring.submitAndWait(minimumCompletionCount: 3)
        counts.append(ring.outstandingCount)
        while ring.nextCompletion() != nil { counts.append(ring.outstandingCount) }
        #expect(counts == [1, 2, 3, 3, 2, 1, 0])
    }

    @Test func drainWaitsForWhatIsPreparedAndUnderWay() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        memory.fill(at: 0, byteCount: 8, with: 7)
        let file = try TemporaryFile()
        var ring = try Ring(entryCount: 8)
        try ring.registerFiles([file.descriptor])
        for index in 0..<8 as Range<UInt64> {
            _ = ring.prepare(
                .write, memory.hostRange(offset: Int(index), byteCount: 1),
                file: FixedFile(index: 0), fileOffset: index, buffer: nil, tag: index)
            if index == 3 { try ring.submitAndWait(minimumCompletionCount: 0) }
        }
        ring.drain()
        let outstanding = ring.outstandingCount
        let nothingLeft = ring.nextCompletion() == nil
        #expect(outstanding == 0)
        #expect(nothingLeft)
        #expect(try file.contents() == [UInt8](repeating: 7, count: 8))
        // The ring still works.
        _ = ring.prepareSync(file: FixedFile(index: 0), dataOnly: false, tag: 77)
        #expect(try ring.complete().map(\.tag) == [77])
    }

    @Test func destroyingARingWaitsForOperationsUnderWay() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        let (reading, writing) = try FileDescriptor.pipe()
        defer {
            try? reading.close()
            try? writing.close()
        }
        do {
            var ring = try Ring(entryCount: 4)
            try ring.registerFiles([reading])
            _ = ring.prepare(
                .read, memory.hostRange(offset: 0, byteCount: 2), file: FixedFile(index: 0),
                fileOffset: .max, buffer: nil, tag: 1)
            try ring.submitAndWait(minimumCompletionCount: 0)
            let outstanding = ring.outstandingCount
            #expect(outstanding == 1)
            #expect(try writing.writeAll([8, 9]) == 2)
        }
        #expect(memory.bytes(at: 0, byteCount: 2) == [8, 9])
    }

    @Test func destroyingARingSubmitsWhatWasOnlyPrepared() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        memory.fill(at: 0, byteCount: 3, with: 4)
        let file = try TemporaryFile()
        do {
            var ring = try Ring(entryCount: 4)
            try ring.registerFiles([file.descriptor])
            _ = ring.prepare(
                .write, memory.hostRange(offset: 0, byteCount: 3), file: FixedFile(index: 0),
                fileOffset: 0, buffer: nil, tag: 1)
        }
        #expect(try file.contents() == [4, 4, 4])
    }

    @Test func operationsAreProbed() throws {
        let ring = try Ring(entryCount: 1)
        let knowsNop = ring.supports(operation: 0)
        let knowsNonsense = ring.supports(operation: 255)
        #expect(knowsNop)
        #expect(!knowsNonsense)
    }

    @Test func ringOfNoEntriesTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = try Ring(entryCount: 0)
        }
    }
}
