import CLinux
import Synchronization

/// A memory barrier whose cost falls on one side: a system call there, nothing on the other.
///
/// Where each of two threads stores something and then looks at what the other stores, both need a
/// full barrier in between, or each may miss the other's store. `membarrier(2)` puts one into every
/// running thread of the process at the moment of the call, so the frequent side needs only to keep
/// the compiler from reordering.
public enum AsymmetricBarrier {
    /// Whether the kernel has it (Linux 4.14 or later, and no filter in the way). Where not, both
    /// sides use a full barrier.
    public static let isAvailable = clinux_membarrier_register() == 0

    /// The frequent side.
    ///
    /// - Parameter isAvailable: ``isAvailable``, which the caller has stored, for it is costly to
    ///   reach.
    @inline(__always)
    public static func light(isAvailable: Bool) {
        if isAvailable {
            // No instruction on x86-64. The language does not promise that a load stays behind a
            // store across it; LLVM moves neither across any fence, and that is what counts here.
            atomicMemoryFence(ordering: .acquiringAndReleasing)
        } else {
            atomicMemoryFence(ordering: .sequentiallyConsistent)
        }
    }

    /// The other side: some microseconds.
    public static func heavy() {
        guard isAvailable else {
            atomicMemoryFence(ordering: .sequentiallyConsistent)
            return
        }
        // The kernel may be short of memory for a moment. To go on without would break what the
        // other side relies on.
        for _ in 0..<1000 where clinux_membarrier() == 0 { return }
        preconditionFailure("membarrier(2) failed after it had been registered")
    }
}
