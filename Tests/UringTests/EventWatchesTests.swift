import SharedMemory
import Testing
import Uring

@Suite struct EventWatchesTests {
    private static let tag: UInt64 = 1 << 32
    private static let cancellationTag: UInt64 = 2 << 32

    /// Waits for an end of an operation, and takes in those that there are.
    private static func collect(_ watches: inout EventWatches, _ ring: inout Ring) throws {
        try ring.submitAndWait(minimumCompletionCount: 1)
        while let completion = ring.nextCompletion() {
            if completion.tag < cancellationTag {
                watches.note(Int(completion.tag - tag), completion)
            }
        }
    }

    /// A ring waits for its operations when it is dropped, so none may be left.
    private static func end(
        _ indices: Range<Int>, _ watches: inout EventWatches, _ ring: inout Ring
    ) throws {
        for index in indices { watches.end(index, in: &ring) }
        while indices.contains(where: { watches.isWatching($0) }) { try collect(&watches, &ring) }
    }

    @Test func theEventThatCameWakesOnceAndIsWatchedAgain() throws {
        let events = [try EventDescriptor(), try EventDescriptor()]
        var ring = try Ring(entryCount: 8)
        var watches = try EventWatches(
            count: 2, tag: Self.tag, cancellationTag: Self.cancellationTag)
        for index in 0..<2 { watches.begin(index, events[index].fileDescriptor, in: &ring) }
        for _ in 0..<3 {
            events[1].signal()
            try Self.collect(&watches, &ring)
            let taken = [0, 1, 1].map { watches.take($0, in: &ring) }
            #expect(taken == [false, true, false])
            #expect(watches.isWatching(0) && watches.isWatching(1))
        }
        try Self.end(0..<2, &watches, &ring)
    }

    @Test func whatComesAfterTheEndIsLeftToOthers() throws {
        let event = try EventDescriptor()
        var ring = try Ring(entryCount: 8)
        var watches = try EventWatches(
            count: 1, tag: Self.tag, cancellationTag: Self.cancellationTag)
        watches.begin(0, event.fileDescriptor, in: &ring)
        try ring.submitAndWait(minimumCompletionCount: 0)
        try Self.end(0..<1, &watches, &ring)
        let isWoken = watches.take(0, in: &ring)
        #expect(!isWoken)
        event.signal()
        #expect(event.wait(timeoutMilliseconds: 0))
    }

    @Test func whatCameBeforeTheEndCanStillBeTaken() throws {
        let event = try EventDescriptor()
        var ring = try Ring(entryCount: 8)
        var watches = try EventWatches(
            count: 1, tag: Self.tag, cancellationTag: Self.cancellationTag)
        watches.begin(0, event.fileDescriptor, in: &ring)
        event.signal()
        try Self.collect(&watches, &ring)
        watches.end(0, in: &ring)
        let taken = [0, 0].map { watches.take($0, in: &ring) }
        #expect(taken == [true, false])
        #expect(!watches.isWatching(0))
    }
}
