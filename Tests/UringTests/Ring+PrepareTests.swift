import Glibc
import SharedMemory
import SystemPackage
import TestSupport
import Testing

@testable import Uring

@Suite(.enabled(if: ringsAreAllowed)) struct RingPrepareTests {
    let memory: HostMemory
    let file = FixedFile(index: 0)
    var generator = SeededGenerator()

    init() throws {
        memory = try HostMemory.anonymous(byteCount: 1 << 16)
    }

    @Test(arguments: [false, true])
    mutating func whatIsWrittenIsReadBack(fixed: Bool) throws {
        let bytes = generator.bytes(5000)
        let storage = try TemporaryFile()
        var ring = try Ring(entryCount: 8)
        try ring.registerFiles([storage.descriptor])
        if fixed { try ring.registerBuffers([memory.hostRange]) }
        let buffer = fixed ? FixedBuffer(index: 0) : nil
        memory.store(bytes.span, at: 100)
        let prepared = ring.prepare(
            .write, memory.hostRange(offset: 100, byteCount: 5000), file: file, fileOffset: 33,
            buffer: buffer, tag: .max)
        #expect(prepared)
        let written = try ring.complete()
        #expect(written.map(\.tag) == [.max])
        #expect(written.map(\.result) == [5000])
        let head = [UInt8](repeating: 0, count: 33)
        #expect(try storage.contents() == head + bytes, "seed \(generator.seed)")
        let preparedRead = ring.prepare(
            .read, memory.hostRange(offset: 20000, byteCount: 6000), file: file, fileOffset: 33,
            buffer: buffer, tag: 3)
        #expect(preparedRead)
        let read = try ring.complete()
        #expect(read.map(\.tag) == [3])
        #expect(read.map(\.result) == [5000], "a read ends with the file")
        #expect(memory.bytes(at: 20000, byteCount: 5000) == bytes, "seed \(generator.seed)")
        #expect(memory.bytes(at: 25000, byteCount: 1) == [0])
    }

    @Test(arguments: [false, true])
    mutating func listsAreWrittenAndReadInTheirOrder(fixed: Bool) throws {
        if fixed, !ringsTakeVectoredFixedBuffers { return }
        let bytes = generator.bytes(600)
        let storage = try TemporaryFile()
        var ring = try Ring(entryCount: 8)
        try ring.registerFiles([storage.descriptor])
        if fixed { try ring.registerBuffers([memory.hostRange]) }
        let buffer = fixed ? FixedBuffer(index: 0) : nil
        memory.store(bytes.span, at: 0)
        let vectors = IOVectors(rowCount: 2, rowCapacity: 3)
        var list = vectors.emptyList(inRow: 1)
        for (offset, count) in [(500, 100), (0, 100), (200, 300)] {
            let appended = vectors.append(
                memory.hostRange(offset: offset, byteCount: count), to: &list)
            #expect(appended)
        }
        vectors.dropFirst(10, from: &list)
        let prepared = ring.prepareVectored(
            .write, list, of: vectors, file: file, fileOffset: 5, buffer: buffer, tag: 1)
        #expect(prepared)
        #expect(try ring.complete().map(\.result) == [490])
        let expected = bytes[510..<600] + bytes[0..<100] + bytes[200..<500]
        #expect(
            try storage.contents() == [UInt8](repeating: 0, count: 5) + expected,
            "seed \(generator.seed)")

        var target = vectors.emptyList(inRow: 0)
        for (offset, count) in [(9000, 90), (8000, 400)] {
            _ = vectors.append(memory.hostRange(offset: offset, byteCount: count), to: &target)
        }
        _ = ring.prepareVectored(
            .read, target, of: vectors, file: file, fileOffset: 5, buffer: buffer, tag: 2)
        let read = try ring.complete()
        #expect(read.map(\.tag) == [2])
        #expect(read.map(\.result) == [490])
        #expect(memory.bytes(at: 9000, byteCount: 90) == Array(expected.prefix(90)))
        #expect(memory.bytes(at: 8000, byteCount: 400) == Array(expected.dropFirst(90)))
    }

    @Test func writeToAFileRegisteredReadOnlyFailsAndKeepsItsTag() throws {
        let storage = try TemporaryFile([1, 2, 3])
        let readOnly = try storage.reopened(.readOnly)
        defer { try? readOnly.close() }
        var ring = try Ring(entryCount: 4)
        try ring.registerFiles([readOnly])
        _ = ring.prepare(
            .write, memory.hostRange(offset: 0, byteCount: 3), file: file, fileOffset: 0,
            buffer: nil, tag: 0xdead_beef_0000_0001)
        let completions = try ring.complete()
        #expect(completions.map(\.tag) == [0xdead_beef_0000_0001])
        #expect(completions.map(\.result) == [-Errno.badFileDescriptor.rawValue])
        #expect(try storage.contents() == [1, 2, 3])
    }

    @Test func operationOnAFileThatIsNotRegisteredFailsAndKeepsItsTag() throws {
        var ring = try Ring(entryCount: 4)
        _ = ring.prepareSync(file: FixedFile(index: 3), dataOnly: true, tag: 42)
        let completions = try ring.complete()
        #expect(completions.map(\.tag) == [42])
        #expect(completions.map(\.result) == [-Errno.badFileDescriptor.rawValue])
    }

    @Test func fixedTransferOutsideItsBufferFailsAndKeepsItsTag() throws {
        let storage = try TemporaryFile()
        var ring = try Ring(entryCount: 4)
        try ring.registerFiles([storage.descriptor])
        try ring.registerBuffers([memory.hostRange(offset: 0, byteCount: 4096)])
        _ = ring.prepare(
            .write, memory.hostRange(offset: 4000, byteCount: 97), file: file, fileOffset: 0,
            buffer: FixedBuffer(index: 0), tag: 5)
        let completions = try ring.complete()
        #expect(completions.map(\.tag) == [5])
        #expect(completions.map(\.result) == [-Errno.badAddress.rawValue])
        #expect(try storage.contents() == [])
    }

    @Test func preparingMoreThanTheQueueHoldsSaysSoUntilTheNextSubmission() throws {
        let storage = try TemporaryFile()
        var ring = try Ring(entryCount: 4)
        try ring.registerFiles([storage.descriptor])
        for round in 0..<3 as Range<UInt64> {
            var accepted: [Bool] = []
            for tag in 0..<5 as Range<UInt64> {
                accepted.append(
                    ring.prepareSync(file: file, dataOnly: true, tag: round * 10 + tag))
            }
            #expect(accepted == [true, true, true, true, false])
            let tags = try ring.complete(4).map(\.tag).sorted()
            #expect(tags == [0, 1, 2, 3].map { round * 10 + $0 })
        }
    }

    @Test func reusedEntriesKeepNothingOfTheOperationBefore() throws {
        // A fixed write, then in the same entry a plain one: its buffer index must be gone, and so
        // on.
        let storage = try TemporaryFile()
        var ring = try Ring(entryCount: 1)
        try ring.registerFiles([storage.descriptor])
        try ring.registerBuffers([memory.hostRange(offset: 0, byteCount: 4096)])
        memory.fill(at: 0, byteCount: 8192, with: 6)
        _ = ring.prepare(
            .write, memory.hostRange(offset: 0, byteCount: 10), file: file, fileOffset: 0,
            buffer: FixedBuffer(index: 0), tag: 1)
        #expect(try ring.complete().map(\.result) == [10])
        _ = ring.prepareSync(file: file, dataOnly: true, tag: 2)
        #expect(try ring.complete().map(\.result) == [0])
        _ = ring.prepare(
            .write, memory.hostRange(offset: 5000, byteCount: 20), file: file, fileOffset: 0,
            buffer: nil, tag: 3)
        let last = try ring.complete()
        #expect(last.map(\.tag) == [3])
        #expect(last.map(\.result) == [20])
        #expect(try storage.contents() == [UInt8](repeating: 6, count: 20))
    }

    @Test func syncOfDataAndOfMetadataSucceed() throws {
        let storage = try TemporaryFile([1])
        var ring = try Ring(entryCount: 2)
        try ring.registerFiles([storage.descriptor])
        _ = ring.prepareSync(file: file, dataOnly: true, tag: 1)
        _ = ring.prepareSync(file: file, dataOnly: false, tag: 2)
        let completions = try ring.complete(2)
        #expect(completions.map(\.result) == [0, 0])
    }

    @Test func allocationGrowsTheFileOrLeavesItsSize() throws {
        let storage = try TemporaryFile([1, 2])
        var ring = try Ring(entryCount: 2)
        try ring.registerFiles([storage.descriptor])
        _ = ring.prepareAllocate(file: file, mode: 0, fileOffset: 10, byteCount: 90, tag: 1)
        let completions = try ring.complete()
        #expect(completions.map(\.tag) == [1])
        #expect(completions.map(\.result) == [0])
        #expect(try storage.contents() == [1, 2] + [UInt8](repeating: 0, count: 98))
    }

    @Test func readOfAnEventEndsWhenTheEventIsSignalled() throws {
        let event = try EventDescriptor()
        var ring = try Ring(entryCount: 4)
        memory.fill(at: 0, byteCount: 16, with: 0xff)
        let prepared = ring.prepareRead(
            of: event.fileDescriptor, into: memory.hostRange(offset: 0, byteCount: 8), tag: 1 << 63)
        #expect(prepared)
        try ring.submitAndWait(minimumCompletionCount: 0)
        let early = ring.nextCompletion()?.tag
        #expect(early == nil)
        let outstanding = ring.outstandingCount
        #expect(outstanding == 1)
        event.signal()
        event.signal()
        event.signal()
        let completions = try ring.complete()
        #expect(completions.map(\.tag) == [1 << 63])
        #expect(completions.map(\.result) == [8])
        let count = memory.bytes(at: 0, byteCount: 9)
        #expect(count == [3, 0, 0, 0, 0, 0, 0, 0, 0xff])
    }

    @Test func readOfAnEventThatWasSignalledEndsAtOnceAndClearsIt() throws {
        let event = try EventDescriptor()
        var ring = try Ring(entryCount: 4)
        let range = memory.hostRange(offset: 0, byteCount: 8)
        event.signal()
        _ = ring.prepareRead(of: event.fileDescriptor, into: range, tag: 1)
        _ = ring.prepareRead(of: event.fileDescriptor, into: range, tag: 2)
        #expect(try ring.complete().map(\.tag) == [1])
        let outstanding = ring.outstandingCount
        #expect(outstanding == 1)
        event.signal()
        #expect(try ring.complete().map(\.tag) == [2])
    }

    @Test func readOfAnEventThatDoesNotBlockWaitsOrSaysThatItDoesNot() throws {
        let event = try EventDescriptor()
        let flags = fcntl(event.fileDescriptor.rawValue, F_GETFL)
        #expect(fcntl(event.fileDescriptor.rawValue, F_SETFL, flags | O_NONBLOCK) == 0)
        var ring = try Ring(entryCount: 4)
        _ = ring.prepareRead(
            of: event.fileDescriptor, into: memory.hostRange(offset: 0, byteCount: 8), tag: 1)
        try ring.submitAndWait(minimumCompletionCount: 0)
        if let early = ring.nextCompletion() {
            #expect(early.result == -Errno.resourceTemporarilyUnavailable.rawValue)
        } else {
            event.signal()
            #expect(try ring.complete().map(\.result) == [8])
        }
    }

    @Test func signalsOfAnotherThreadAreNotLost() throws {
        let (request, answer) = (try EventDescriptor(), try EventDescriptor())
        let memory = memory
        // Each thread waits in its ring for the other one.
        onThreads(2) { index in
            do {
                let range = memory.hostRange(offset: index * 8, byteCount: 8)
                var ring = try Ring(entryCount: 4)
                for round in 0..<1000 as Range<UInt64> {
                    if index == 0 { request.signal() }
                    let event = index == 0 ? answer : request
                    _ = ring.prepareRead(of: event.fileDescriptor, into: range, tag: round)
                    #expect(try ring.complete().map(\.tag) == [round])
                    #expect(memory.bytes(at: index * 8, byteCount: 1) == [1])
                    if index == 1 { answer.signal() }
                }
            } catch {
                Issue.record("\(error)")
            }
        }
    }

    @Test func cancelledReadEndsAndTheCountIsKept() throws {
        let event = try EventDescriptor()
        var ring = try Ring(entryCount: 4)
        let range = memory.hostRange(offset: 0, byteCount: 8)
        _ = ring.prepareRead(of: event.fileDescriptor, into: range, tag: 5)
        _ = ring.prepareRead(of: event.fileDescriptor, into: range, tag: 6)
        try ring.submitAndWait(minimumCompletionCount: 0)
        let prepared = ring.prepareCancel(tag: 5, ownTag: 7)
        #expect(prepared)
        let completions = try ring.complete(2).sorted { $0.tag < $1.tag }
        #expect(completions.map(\.tag) == [5, 7])
        #expect(completions.map(\.result) == [-Errno.canceled.rawValue, 0])
        let outstanding = ring.outstandingCount
        #expect(outstanding == 1)
        // The other read is as it was.
        event.signal()
        event.signal()
        let last = try ring.complete()
        #expect(last.map(\.tag) == [6])
        #expect(memory.bytes(at: 0, byteCount: 1) == [2])
    }

    @Test func cancellingWhatIsNotUnderWayIsNoEntry() throws {
        var ring = try Ring(entryCount: 4)
        _ = ring.prepareCancel(tag: 5, ownTag: 7)
        let completions = try ring.complete()
        #expect(completions.map(\.tag) == [7])
        #expect(completions.map(\.result) == [-Errno.noSuchFileOrDirectory.rawValue])
    }

    @Test func readOfNoDescriptorFailsAndKeepsItsTag() throws {
        var ring = try Ring(entryCount: 4)
        _ = ring.prepareRead(
            of: FileDescriptor(rawValue: -1), into: memory.hostRange(offset: 0, byteCount: 8),
            tag: 11)
        let completions = try ring.complete()
        #expect(completions.map(\.tag) == [11])
        #expect(completions.map(\.result) == [-Errno.badFileDescriptor.rawValue])
    }
}
