import CLinux
import Glibc

/// How long one side of a queue that has run dry looks for work before it sleeps: longer after waits that were
/// short, less after long ones, between nothing and a limit.
///
/// To sleep and be woken costs each side a system call and a switch, some microseconds; to look costs
/// processor time. So looking pays where waits are short, which is known only afterwards.
public struct AdaptivePoll: Sendable {
    /// The limit in nanoseconds; 0 never to look.
    public let limit: UInt64
    /// How long to look now, in nanoseconds.
    public private(set) var current: UInt64

    /// What a wait shorter than the limit makes of no polling at all.
    private static let least: UInt64 = 4_000

    public init(limitMicroseconds: Int) {
        limit = UInt64(limitMicroseconds) * 1000
        current = limit
    }

    /// Takes in how long the last wait was, looking and sleeping together.
    public mutating func note(waitNanoseconds: UInt64) {
        if waitNanoseconds <= limit {
            current = min(max(current * 2, Self.least), limit)
        } else {
            current = current / 2 < Self.least ? 0 : current / 2
        }
    }

    /// A moment in a loop that waits.
    @inline(__always)
    public static func relax() {
        clinux_cpu_relax()
    }

    /// Lets another thread of this processor run, if there is one: it may be the one that is waited for.
    /// One system call, so now and then.
    public static func yield() {
        sched_yield()
    }

    /// Nanoseconds on a clock that never goes back.
    public static func now() -> UInt64 {
        var time = timespec()
        // SAFETY: `time` is a local; the clock exists on every Linux.
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
//
