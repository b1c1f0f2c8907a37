/// How much memory can be had without taking it from anybody.
enum AvailableMemory {
    /// The system's estimate, or what the control groups of this process have left where that is less.
    static func byteCount(_ files: SystemFiles = SystemFiles()) -> Int? {
        let groups = files.controlGroups.map { controlGroup($0, files) }
        return ([system(files)] + groups).compactMap { $0 }.min()
    }

    /// `MemAvailable` of `proc_meminfo(5)`.
    private static func system(_ files: SystemFiles) -> Int? {
        files.field("MemAvailable", of: "/proc/meminfo")
            .flatMap { Int($0.prefix { $0.isNumber }) }.map { $0 * 1024 }
    }

    /// `memory.max` less `memory.current` of a version 2 control group.
    private static func controlGroup(_ group: String, _ files: SystemFiles) -> Int? {
        guard let limit = files.number(group + "/memory.max"),
            let current = files.number(group + "/memory.current")
        else { return nil }
        return max(limit - current, 0)
    }
}
