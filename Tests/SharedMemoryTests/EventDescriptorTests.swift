import Glibc
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import SharedMemory

struct EventDescriptorTests {
    /// An eventfd that blocks, as a peer may send one.
    private func blocking() throws -> FileDescriptor {
        let event = try EventDescriptor()
        let descriptor = try withExtendedLifetime(event) { try event.fileDescriptor.duplicate() }
        #expect(fcntl(descriptor.rawValue, F_SETFL, 0) == 0)
        #expect(fcntl(descriptor.rawValue, F_GETFL) & O_NONBLOCK == 0)
        return descriptor
    }

    @Test func signalsAreTakenBackTogether() throws {
        let event = try EventDescriptor()
        #expect(!event.clear())
        event.signal()
        event.signal()
        #expect(event.clear())
        #expect(!event.clear())
    }

    @Test func waitsForASignal() throws {
        let event = try EventDescriptor()
        #expect(!event.wait(timeoutMilliseconds: 1))
        let isWoken = Atomic(false)
        onThreads(2) { index in
            if index == 0 {
                isWoken.store(event.wait(), ordering: .relaxed)
            } else {
                event.signal()
            }
        }
        #expect(isWoken.load(ordering: .relaxed) == true)
        #expect(!event.clear())
    }

    @Test func descriptorIsNotInheritedAndDoesNotBlock() throws {
        let event = try EventDescriptor()
        #expect(fcntl(event.fileDescriptor.rawValue, F_GETFD) == FD_CLOEXEC)
        #expect(fcntl(event.fileDescriptor.rawValue, F_GETFL) & O_NONBLOCK != 0)
    }

    @Test func takesOneThatAPeerHasSent() throws {
        let descriptor = try blocking()
        let event = try EventDescriptor(adopting: descriptor)
        #expect(event.fileDescriptor == descriptor)
        #expect(fcntl(descriptor.rawValue, F_GETFL) & O_NONBLOCK != 0)
        event.signal()
        #expect(event.clear())
    }

    /// With a counter that is full a signal says nothing new, and must not block.
    @Test(.timeLimit(.minutes(1))) func fullCounterDoesNotBlock() throws {
        let event = try EventDescriptor(adopting: blocking())
        let most: [UInt8] = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
        try event.fileDescriptor.writeAll(most)
        event.signal()
        #expect(event.wait(timeoutMilliseconds: 0))
        event.signal()
        #expect(event.clear())
    }

    /// Anything else could block, or be harmed by eight bytes.
    @Test func refusesAndClosesWhatIsNoEventDescriptor() throws {
        let file = try TemporaryFile([1, 2, 3])
        let pipe = try FileDescriptor.pipe()
        for descriptor in [try file.reopened(.readWrite), pipe.writeEnd, pipe.readEnd] {
            let same = try descriptor.duplicate()
            #expect(throws: SystemCallError("eventfd", .invalidArgument)) {
                _ = try EventDescriptor(adopting: descriptor)
            }
            #expect(!isDescriptor(descriptor.rawValue, of: same))
            try same.close()
        }
        #expect(try file.contents() == [1, 2, 3])
        #expect(throws: SystemCallError("eventfd", .invalidArgument)) {
            _ = try EventDescriptor(adopting: FileDescriptor(rawValue: -1))
        }
    }
}
