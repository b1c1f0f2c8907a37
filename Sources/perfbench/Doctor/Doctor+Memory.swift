import Glibc

/// What memory a measurement gets.
extension Doctor {
    /// What guest memory and window take by default.
    private static let wantedByteCount =
        CommonOptions.guestMemoryByteCount + CommonOptions.windowByteCount

    var availableMemory: Diagnosis {
        guard let available = AvailableMemory.byteCount(files) else {
            return .ok("memory", "not told")
        }
        let text = "\(available >> 20)m available"
        return available >= Self.wantedByteCount
            ? .ok("memory", text)
            : .serious(
                "memory",
                "\(text), and guest memory and window take \(Self.wantedByteCount >> 20)m",
                "end something, or use smaller --guest-memory and --window")
    }

    var lockedMemory: Diagnosis {
        // SAFETY: `limit` is a local.
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit)
        return lockedMemory(limit: limit.rlim_cur == .max ? nil : Int(limit.rlim_cur))
    }

    /// - Parameter limit: bytes; `nil` for none.
    func lockedMemory(limit: Int?) -> Diagnosis {
        let subject = "locked memory"
        guard let limit else { return .ok(subject, "without a limit") }
        // `CAP_IPC_LOCK` is number 14 of `capability.h`.
        let capabilities = files.field("CapEff", of: "/proc/self/status")
            .flatMap { UInt64($0, radix: 16) }
        if capabilities.map({ $0 >> 14 & 1 == 1 }) ?? false {
            return .ok(subject, "limit \(ByteSize(limit)), which CAP_IPC_LOCK lifts")
        }
        return limit >= Self.wantedByteCount
            ? .ok(subject, "limit \(ByteSize(limit))")
            : .note(
                subject,
                "limit \(ByteSize(limit)): memory is not registered, so bounce and direct-fixed"
                    + " run without fixed buffers",
                "ulimit -l \(Self.wantedByteCount >> 10), or LimitMEMLOCK= of the service")
    }

    var hugePages: Diagnosis {
        let subject = "huge pages"
        let free =
            files.field("HugePages_Free", of: "/proc/meminfo").flatMap { Int($0) } ?? 0
        let transparent = files.choice("/sys/kernel/mm/transparent_hugepage/enabled") ?? "unknown"
        let shared = files.choice("/sys/kernel/mm/transparent_hugepage/shmem_enabled") ?? "unknown"
        let text = "\(free) reserved and free; transparent: \(transparent), shared: \(shared)"
        let needed = CommonOptions.windowByteCount >> 21
        guard free < needed else { return .ok(subject, "\(text) (used with --huge-pages)") }
        let isGuestHuge = transparent == "always"
        if isGuestHuge, ["always", "within_size", "force"].contains(shared) {
            return .ok(subject, text)
        }
        let lack =
            "a window takes \(needed), so "
            + (isGuestHuge ? "payloads in it" : "payloads")
            + " are scattered over base pages, of which disks make more work"
        // Some to spare: others may want one, too.
        return .note(
            subject, "\(text): \(lack)",
            "sysctl vm.nr_hugepages=\(needed + 2), then perfbench block --huge-pages, to see the difference"
        )
    }
}
