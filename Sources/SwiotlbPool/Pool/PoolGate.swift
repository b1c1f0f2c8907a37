import SharedMemory
import Synchronization

/// The one word that a hot path looks at to learn whether anything is out of the ordinary.
///
/// Bit 0: somebody waits for slots. Bits 1 to 23: how many threads collect mappers' caches. The rest:
/// how often extents were added or removed.
///
/// **Orderings** (labels as in `Models/waiters.pml`). G1: who frees slots stores the run's state,
/// then, behind a light barrier, looks at bit 0. G2: who begins to wait sets bit 0, then, behind a
/// heavy barrier, looks for free slots. One of the two sees the other, so nobody waits for slots
/// that are free. The heavy barrier is `membarrier(2)`, which makes the light one of every other
/// thread as good as a full one, so that freeing slots needs none.
final class PoolGate: Sendable {
    private let leadingPad = InlineArray<16, UInt64>(repeating: 0)
    private let word = Atomic<UInt64>(0)
    /// Milliseconds since the pool was made, as of the last ``BouncePool/tick()``.
    private let clock = Atomic<UInt32>(0)
    private let trailingPad = InlineArray<16, UInt64>(repeating: 0)

    @inline(__always)
    var current: UInt64 { word.load(ordering: .acquiring) }

    @inline(__always)
    var hasWaiters: Bool { word.load(ordering: .sequentiallyConsistent) & 1 != 0 }

    @inline(__always)
    var epoch: UInt32 { clock.load(ordering: .relaxed) }

    func setEpoch(_ milliseconds: UInt32) { clock.store(milliseconds, ordering: .relaxed) }

    func setHasWaiters(_ hasWaiters: Bool) {
        if hasWaiters {
            word.bitwiseOr(1, ordering: .sequentiallyConsistent)
        } else {
            word.bitwiseAnd(~1, ordering: .sequentiallyConsistent)
        }
    }

    /// C2 of ``RunCaches``: from here to ``endCollecting()``, no other mapper pops by plain stores.
    func beginCollecting() {
        word.wrappingAdd(2, ordering: .sequentiallyConsistent)
        AsymmetricBarrier.heavy()
    }

    func endCollecting() {
        word.wrappingSubtract(2, ordering: .sequentiallyConsistent)
    }

    func extentsChanged() {
        word.wrappingAdd(1 << 24, ordering: .acquiringAndReleasing)
    }

    /// The gate while nobody waits and nobody collects.
    static func resting(_ word: UInt64) -> UInt64 { word & ~0xff_ffff }
}
