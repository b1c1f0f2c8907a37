import CLinux
import Glibc
import SharedMemory
import Synchronization
import SystemPackage
import Testing

@Suite struct WorkerThreadTests {
    /// An event whose counter is full, and that makes writers wait.
    private static func fullEvent() throws -> EventDescriptor {
        let event = try EventDescriptor()
        let number = event.fileDescriptor.rawValue
        #expect(eventfd_write(number, .max - 1) == 0)
        _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK)
        return event
    }

    @Test func aThreadHasItsName() throws {
        let name = Mutex("")
        let thread = try WorkerThread(name: "a-name-that-is-too-long") {
            let text = try? FileDescriptor.open(FilePath("/proc/thread-self/comm"), .readOnly)
            var bytes = [UInt8](repeating: 0, count: 32)
            // SAFETY: the buffer lives for the call.
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe try? text?.read(into: $0) }
            name.withLock { $0 = String(decoding: bytes.prefix(count ?? 0), as: UTF8.self) }
            try? text?.close()
        }
        thread.join()
        #expect(name.withLock { $0 } == "a-name-that-is-\n")
    }

    @Test("A thread that waits in the kernel goes on when it is interrupted")
    func interruption() throws {
        let event = try Self.fullEvent()
        let isOver = try EventDescriptor()
        let thread = try WorkerThread(name: "waiter") {
            event.signal()
            isOver.signal()
        }
        #expect(!isOver.wait(timeoutMilliseconds: 50))
        for _ in 0..<100 where !isOver.wait(timeoutMilliseconds: 20) { thread.interrupt() }
        thread.join()
    }

    @Test("Where nobody can interrupt, a signal is given up by itself")
    func signalApart() throws {
        try Self.fullEvent().signalApart()
        let event = try EventDescriptor()
        event.signalApart()
        #expect(event.clear())
        #expect(!event.clear())
    }
}
