import CLinux
import FoundationEssentials
import Glibc
import SharedMemory

/// What of the machine one must know to read a result.
struct HostFacts: Codable {
    var kernel: String
    var cpu: String
    var processors: Int
    /// The `io_uring_setup(2)` flags obtained; empty where no ring was made.
    var ringFlags: [String] = []
    /// Whether any path ran with registered memory.
    var fixedBuffers = false
    /// `RLIMIT_MEMLOCK`; -1 for no limit.
    var memlockBytes: Int
    var guestMemoryBytes: Int
    var windowBytes: Int
    /// The pages obtained, which can be less than `--huge-pages` asked for.
    var guestPages: String
    var windowPages: String
    var storage: Storage?
    var date: String
    /// The commit that the program is of, where that is known.
    var commit: String?

    struct Storage: Codable {
        let bytes: UInt64
        let direct: Bool
        let blockDevice: Bool
        /// What direct I/O needs, in bytes; 0 where there is none.
        let offsetAlignment: Int
        let memoryAlignment: Int
    }

    init(common: CommonOptions, memories: Memories) {
        kernel = Self.kernelName
        cpu = Self.cpuName
        processors = Self.processorCount
        // SAFETY: `limit` is a local.
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit)
        memlockBytes = limit.rlim_cur == .max ? -1 : Int(limit.rlim_cur)
        guestMemoryBytes = common.guestMemory.byteCount
        windowBytes = common.window.byteCount
        guestPages = memories.guest.pages.rawValue
        windowPages = memories.window.pages.rawValue
        date = Date.now.formatted(.iso8601)
        commit = SourceTree.commit(around: Programs.directory)
    }

    /// What a page says of it.
    var facts: [(name: String, value: String)] {
        var facts = [
            ("Processor", "\(cpu), \(processors) to run on"), ("Kernel", "Linux \(kernel)"),
            ("Date", date), ("Commit", commit ?? "unknown"),
            (
                "Guest memory", "\(ByteSize(guestMemoryBytes)) in \(guestPages) pages"
            ), ("Window", "\(ByteSize(windowBytes)) in \(windowPages) pages"),
        ]
        if let storage {
            let kind = storage.blockDevice ? "block device" : "file"
            let mode = storage.direct ? "O_DIRECT" : "through the page cache"
            facts.append(("Storage", "\(kind) of \(ByteSize(Int(storage.bytes))), \(mode)"))
        }
        return facts
    }

    /// The machine, for a person.
    var heading: String {
        "\(cpu), \(processors) processors, Linux \(kernel), \(date)"
            + (commit.map { ", commit \($0.prefix(12))" } ?? "")
    }

    /// The processors that this process may use: affinities and cpusets leave it some of those online.
    static var processorCount: Int {
        let count = Int(clinux_processor_count())
        // Where there are more than a set has room for.
        return count > 0 ? count : sysconf(Int32(_SC_NPROCESSORS_ONLN))
    }
    static var kernelName: String { SystemFiles().line("/proc/sys/kernel/osrelease") ?? "unknown" }
    static var cpuName: String {
        SystemFiles().field("model name", of: "/proc/cpuinfo") ?? "unknown"
    }
}
