import SharedMemory
import TestSupport
import Testing

@testable import Uring

@Suite(.enabled(if: ringsAreAllowed)) struct RingCompletionTests {
    @Test func manyCompletionsAreTakenInOneBatchEachWithItsTag() throws {
        let bytes = (0..<64).map { UInt8($0) }
        let storage = try TemporaryFile(bytes)
        let memory = try HostMemory.anonymous(byteCount: 4096)
        var ring = try Ring(entryCount: 64)
        try ring.registerFiles([storage.descriptor])
        // More rounds than the queue has places, so that its indices wrap.
        for round in 0..<5 as Range<UInt64> {
            memory.fill(at: 0, byteCount: 4096, with: 0xff)
            for index in 0..<64 as Range<UInt64> {
                _ = ring.prepare(
                    .read, memory.hostRange(offset: Int(index), byteCount: 1),
                    file: FixedFile(index: 0), fileOffset: index, buffer: nil,
                    tag: round << 32 | index)
            }
            try ring.submitAndWait(minimumCompletionCount: 64)
            var tags: Set<UInt64> = []
            var count = 0
            while let completion = ring.nextCompletion() {
                tags.insert(completion.tag)
                count += 1
                #expect(completion.result == 1)
            }
            #expect(count == 64)
            #expect(tags == Set((0..<64).map { round << 32 | $0 }))
            #expect(memory.bytes(at: 0, byteCount: 64) == bytes)
        }
    }

    @Test func theRingTellsWhenEnteringItBringsCompletions() throws {
        let event = try EventDescriptor()
        let memory = try HostMemory.anonymous(byteCount: 4096)
        var ring = try Ring(entryCount: 4)
        try #require(ring.flags.contains(.taskrunFlag))
        let range = memory.hostRange(offset: 0, byteCount: EventDescriptor.byteCount)
        let isPrepared = ring.prepareRead(of: event.fileDescriptor, into: range, tag: 7)
        let preparedCount = ring.preparedCount
        #expect(isPrepared && preparedCount == 1)
        try ring.submitAndWait(minimumCompletionCount: 0)
        let (leftCount, early) = (ring.preparedCount, ring.mayHaveCompletion)
        #expect(leftCount == 0 && !early)
        event.signal()
        let told = ring.mayHaveCompletion
        #expect(told)
        try ring.submitAndWait(minimumCompletionCount: 0)
        let (tag, late) = (ring.nextCompletion()?.tag, ring.mayHaveCompletion)
        #expect(tag == 7 && !late)
    }

    @Test func failuresAmongSuccessesKeepTheirOwnTags() throws {
        let storage = try TemporaryFile([1])
        let memory = try HostMemory.anonymous(byteCount: 4096)
        var ring = try Ring(entryCount: 8)
        try ring.registerFiles([storage.descriptor])
        for tag in 0..<8 as Range<UInt64> {
            _ = ring.prepare(
                .read, memory.hostRange(offset: 0, byteCount: 1),
                file: FixedFile(index: tag % 2 == 0 ? 0 : 1), fileOffset: 0, buffer: nil, tag: tag)
        }
        let completions = try ring.complete(8)
        #expect(Set(completions.map(\.tag)) == Set(0..<8))
        for completion in completions {
            #expect((completion.result == 1) == (completion.tag % 2 == 0))
        }
    }
}
