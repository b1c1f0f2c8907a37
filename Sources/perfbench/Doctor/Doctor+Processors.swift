import Glibc

/// What becomes of the time of processors.
extension Doctor {
    private static let processors = "/sys/devices/system/cpu"

    /// A driver and a device in another process want one each.
    var processorCount: Diagnosis {
        let count = HostFacts.processorCount
        return count >= 2
            ? .ok("processors", "\(count)")
            : .serious(
                "processors",
                "one to run on: driver and device of --via vhost-user take turns on it",
                "measure --via vhost-user where there are two or more; see taskset -p $$")
    }

    var frequency: Diagnosis {
        let subject = "cpu frequency"
        let governors = files.names(in: Self.processors).compactMap {
            files.line("\(Self.processors)/\($0)/cpufreq/scaling_governor")
        }
        guard !governors.isEmpty else {
            return .ok(subject, "nothing here governs it (in a virtual machine the host does)")
        }
        let others = Set(governors).subtracting(["performance"]).sorted()
        return others.isEmpty
            ? .ok(subject, "governor performance")
            : .note(
                subject,
                "governor \(others.joined(separator: ", ")): clocks change while rounds are measured",
                "cpupower frequency-set -g performance")
    }

    var siblings: Diagnosis {
        let subject = "SMT"
        guard files.number("\(Self.processors)/smt/active") == 1 else {
            return .ok(subject, "no two processors share a core")
        }
        let lists = files.names(in: Self.processors).compactMap {
            files.line("\(Self.processors)/\($0)/topology/thread_siblings_list")
        }
        let cores = Set(lists).sorted().prefix(8).joined(separator: "; ")
        return .note(
            subject, "threads of one core slow each other (\(cores))",
            "echo off > \(Self.processors)/smt/control, or taskset to one processor of each core")
    }

    var clock: Diagnosis {
        let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        let name = files.line(path) ?? "unknown"
        let fast: Set = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"]
        return fast.contains(name) || name == "unknown"
            ? .ok("clock", name)
            : .note(
                "clock", "\(name): reading it takes a system call, which latencies then contain",
                "echo tsc > \(path), if available_clocksource beside it has it")
    }

    /// What else wants the processors, over the last seconds and minute.
    var load: Diagnosis {
        let average = files.line("/proc/loadavg")?.split(separator: " ").first.flatMap {
            Double($0)
        }
        // Some task waited for a processor, in per cent of the last ten seconds.
        let pressure = files.line("/proc/pressure/cpu")?.split(separator: " ")
            .first { $0.hasPrefix("avg10=") }.flatMap { Double($0.dropFirst(6)) }
        let text =
            "load \(average?.fixed(2) ?? "unknown")"
            + (pressure.map { ", tasks waited in \($0.fixed(0)) % of the last 10 s" } ?? "")
        return (pressure ?? 0) > 10 || (average ?? 0) > 0.5
            ? .note(
                "other load", "\(text): intervals get wide, and absolute figures low",
                "end what else runs, see top; ratios still hold, see their intervals")
            : .ok("other load", text)
    }

    /// Time that the hypervisor gave to other guests, while this looks and since the machine was started.
    var steal: Diagnosis {
        let before = processorTicks
        usleep(500_000)
        return steal(from: before, to: processorTicks)
    }

    func steal(from before: ProcessorTicks?, to after: ProcessorTicks?) -> Diagnosis {
        let subject = "steal"
        guard let before, let after, after.total > before.total else {
            return .ok(subject, "not told")
        }
        let now = 100 * (after.stolen - before.stolen) / (after.total - before.total)
        let ever = 100 * after.stolen / after.total
        let text = "\(now.fixed(1)) % now, \(ever.fixed(1)) % since the start"
        return now > 2 || ever > 2
            ? .note(
                subject, "\(text): the host's other guests take processors away",
                "measure at another time, or with more --rounds")
            : .ok(subject, text)
    }

    /// `cpu` of `proc_stat(5)`: user, nice, system, idle, iowait, irq, softirq, steal; those of guests are in
    /// the first two already.
    var processorTicks: ProcessorTicks? {
        let ticks = files.field("cpu ", of: "/proc/stat")?.split(separator: " ").compactMap {
            Double($0)
        }
        guard let ticks, ticks.count >= 8 else { return nil }
        return ProcessorTicks(total: ticks[..<8].reduce(0, +), stolen: ticks[7])
    }

    var quota: Diagnosis { quota(processorCount: HostFacts.processorCount) }

    /// `cpu.max` of the control groups: processes of a container stand still once it is used up, which as
    /// many processors as it has cannot do.
    func quota(processorCount: Int) -> Diagnosis {
        let subject = "cpu quota"
        let groups = files.controlGroups
        guard !groups.isEmpty else {
            return .ok(subject, "not told: no control groups of version 2")
        }
        let quotas = groups.compactMap { group -> Double? in
            let words = files.line(group + "/cpu.max")?.split(separator: " ").compactMap {
                Double($0)
            }
            guard let words, words.count == 2, words[1] > 0 else { return nil }
            return words[0] / words[1]
        }
        guard let quota = quotas.min() else { return .ok(subject, "none") }
        let text = "\(quota.fixed(2)) of \(processorCount) processors"
        return quota >= Double(processorCount)
            ? .ok(subject, text)
            : .serious(
                subject, "\(text): threads stand still once a period's share is used",
                "run without a limit of CPU time (docker run without --cpus, cpu.max of the control group)"
            )
    }
}

/// How long processors have been there, and how long of it for others.
struct ProcessorTicks: Equatable {
    let total: Double
    let stolen: Double
}
