import SharedMemory
import SystemPackage
import Testing

@testable import Uring

/// Whether this process may use io_uring: containers and hardened systems often forbid it.
let ringsAreAllowed: Bool = {
    do throws(SystemCallError) {
        _ = try Ring(entryCount: 1)
        return true
    } catch {
        return ![.notPermitted, .permissionDenied, .noFunction].contains(error.errno)
    }
}()

/// Whether this kernel has `IORING_OP_READV_FIXED`.
let ringsTakeVectoredFixedBuffers: Bool = {
    guard ringsAreAllowed, let ring = try? Ring(entryCount: 1) else { return false }
    return ring.supportsVectoredFixedBuffers
}()

extension Ring {
    /// Submits what was prepared and takes `count` completions.
    mutating func complete(_ count: Int = 1) throws -> [RingCompletion] {
        var completions: [RingCompletion] = []
        while completions.count < count {
            try submitAndWait(minimumCompletionCount: count - completions.count)
            while let completion = nextCompletion() { completions.append(completion) }
        }
        return completions
    }
}
