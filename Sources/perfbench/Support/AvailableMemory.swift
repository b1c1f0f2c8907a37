import FoundationEssentials

/// How much memory can be had without taking it from anybody.
enum AvailableMemory {
    /// The system's estimate, or what the control group of this process has left where that is less.
    static var byteCount: Int? {
        let candidates = [system, controlGroup].compactMap { $0 }
        return candidates.min()
    }

    /// `MemAvailable` of `proc_meminfo(5)`.
    private static var system: Int? {
        guard let text = read("/proc/meminfo"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
            let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return kibibytes * 1024
    }

    /// `memory.max` less `memory.current` of a version 2 control group.
    private static var controlGroup: Int? {
        guard let groups = read("/proc/self/cgroup"),
            let line = groups.split(separator: "\n").first(where: { $0.hasPrefix("0::") })
        else { return nil }
        let directory = "/sys/fs/cgroup" + line.dropFirst(3)
        guard let limit = number(directory + "/memory.max"),
            let current = number(directory + "/memory.current")
        else { return nil }
        return max(limit - current, 0)
    }

    private static func number(_ path: String) -> Int? {
        read(path).flatMap { Int($0.prefix { $0.isNumber }) }
    }

    private static func read(_ path: String) -> String? {
        try? String(contentsOfFile: path, encoding: .utf8)
    }
}
