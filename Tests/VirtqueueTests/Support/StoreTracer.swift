import SharedMemory
import StoreTrace
import Synchronization

/// Every state of a memory that a crash could leave behind, after each store there.
enum StoreTracer {
    static let works = store_trace_works()

    private static let stateCountMax = 256
    /// There is one set of signal handlers.
    private static let lock = Mutex(())

    /// - Parameter byteCount: how much of the memory, from its start, is looked at.
    /// - Returns: all states while `body` runs, but for the first.
    static func states<Failure: Error>(
        of memory: HostMemory, byteCount: Int, while body: () throws(Failure) -> Void
    ) throws -> [[UInt8]] {
        let states = try HostMemory.anonymous(byteCount: byteCount * stateCountMax)
        let result = lock.withLock { _ in
            store_trace_begin(
                memory.hostRange.address, memory.byteCount, byteCount, states.hostRange.address,
                stateCountMax)
            let result = Result { () throws(Failure) in try body() }
            return (store_trace_end(), result)
        }
        try result.1.get()
        precondition(result.0 <= stateCountMax, "there is room for all states")
        return (0..<result.0).map { states.bytes(at: byteCount * $0, byteCount: byteCount) }
    }
}
