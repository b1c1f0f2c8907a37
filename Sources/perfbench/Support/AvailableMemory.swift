/// How much memory can be had without taking it from anybody.
enum AvailableMemory {
    /// The system's estimate, or what the control group of this process has left where that is less.
    static func byteCount(_ files: SystemFiles = SystemFiles()) -> Int? {
        let candidates = [system(files), controlGroup(files)].compactMap { $0 }
        return candidates.min()
    }

    /// `MemAvailable` of `proc_meminfo(5)`.
    private static func system(_ files: SystemFiles) -> Int? {
        files.field("MemAvailable", of: "/proc/meminfo")
            .flatMap { Int($0.prefix { $0.isNumber }) }.map { $0 * 1024 }
    }

    /// `memory.max` less `memory.current` of a version 2 control group.
    private static func controlGroup(_ files: SystemFiles) -> Int? {
        guard let group = files.controlGroup, let limit = files.number(group + "/memory.max"),
            let current = files.number(group + "/memory.current")
        else { return nil }
        return max(limit - current, 0)
    }
}
