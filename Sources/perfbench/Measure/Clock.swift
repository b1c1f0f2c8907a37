import FoundationEssentials
import Glibc

/// Nanoseconds since an arbitrary point, that never go back.
func monotonicNanoseconds() -> UInt64 { read(CLOCK_MONOTONIC) }

/// CPU time of the calling thread, in nanoseconds.
func threadCPUNanoseconds() -> UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

private func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    // SAFETY: `time` is a local. Cannot fail: these clocks exist on every Linux.
    unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// CPU time that this process has used, in nanoseconds, its kernel threads for io_uring included.
struct CPUTime {
    var user: Double
    var system: Double

    var total: Double { user + system }

    /// The time until now.
    ///
    /// The sum is exact to the nanosecond. Linux samples how it divides into user and system time,
    /// unless built to account for it, so the division means something over many rounds only.
    static var now: CPUTime {
        let total = Double(read(CLOCK_PROCESS_CPUTIME_ID))
        // SAFETY: `usage` is a local.
        var usage = rusage()
        unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
        let user = seconds(usage.ru_utime)
        let system = seconds(usage.ru_stime)
        let share = user + system > 0 ? user / (user + system) : 0
        return CPUTime(user: total * share, system: total * (1 - share))
    }

    /// The time that another process has used until now; `nil` where there is none, or the system does
    /// not tell.
    init?(ofProcess pid: pid_t) {
        var clock = clockid_t()
        var time = timespec()
        // SAFETY: both are locals.
        guard unsafe clock_getcpuclockid(pid, &clock) == 0, unsafe clock_gettime(clock, &time) == 0
        else { return nil }
        let total = Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
        // The name may hold anything, brackets too; what follows the last of them are numbers.
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        let user = fields.count > 12 ? Double(fields[11]) ?? 0 : 0
        let system = fields.count > 12 ? Double(fields[12]) ?? 0 : 0
        let share = user + system > 0 ? user / (user + system) : 0
        self.init(user: total * share, system: total * (1 - share))
    }

    init(user: Double, system: Double) {
        self.user = user
        self.system = system
    }

    private static func seconds(_ time: timeval) -> Double {
        Double(time.tv_sec) + Double(time.tv_usec) / 1e6
    }

    static func + (left: CPUTime, right: CPUTime) -> CPUTime {
        CPUTime(user: left.user + right.user, system: left.system + right.system)
    }

    static func - (left: CPUTime, right: CPUTime) -> CPUTime {
        // Sampled shares of an exact sum: a share may seem to shrink, the sum cannot.
        let total = left.total - right.total
        let user = min(max(left.user - right.user, 0), total)
        return CPUTime(user: user, system: total - user)
    }
}
