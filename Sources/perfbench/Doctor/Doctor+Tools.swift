/// What is there to count and to draw with.
extension Doctor {
    var counters: Diagnosis {
        let subject = "counters"
        guard
            files.names(in: "/sys/bus/event_source/devices").contains(where: {
                $0.hasPrefix("cpu") || $0.hasPrefix("armv")
            })
        else {
            return .note(
                subject, "no hardware counters here (virtual machines often have none)",
                "count instructions with valgrind --tool=callgrind")
        }
        let level = files.number("/proc/sys/kernel/perf_event_paranoid") ?? 2
        return level <= 2
            ? .ok(subject, "hardware counters, perf_event_paranoid \(level)")
            : .note(
                subject, "perf_event_paranoid \(level): users may not count",
                "sysctl kernel.perf_event_paranoid=2")
    }

    var valgrind: Diagnosis {
        tool("valgrind", "instructions cannot be counted", package: "valgrind")
    }

    var gnuplot: Diagnosis {
        tool("gnuplot", "perfbench report draws no figures", package: Gnuplot.package)
    }

    private func tool(_ name: String, _ lack: String, package: String) -> Diagnosis {
        if let path = Programs.find(name) { return .ok(name, path) }
        return .note(name, "not installed: \(lack)", "apt-get install \(package)")
    }
}
