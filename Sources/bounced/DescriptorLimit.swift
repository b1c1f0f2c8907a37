import Glibc

/// How many descriptors this process may have.
enum DescriptorLimit {
    /// Raises it as far as that goes: a queue takes eight, a region of memory one, and the limit that
    /// programs begin with is for those that use `select(2)`.
    static func raise() {
        var limit = rlimit()
        // SAFETY: `limit` is a local. Where this fails, the limit is what it was.
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return
        }
        limit.rlim_cur = limit.rlim_max
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
