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

    struct Storage: Codable {
        let bytes: UInt64
        let direct: Bool
        let blockDevice: Bool
        /// What direct I/O needs, in bytes; 0 where there is none.
        let offsetAlignment: Int
        let memoryAlignment: Int
    }

    init(common: CommonOptions, memories: Memories) {
        kernel = Self.firstLine(of: "/proc/sys/kernel/osrelease") ?? "unknown"
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
    }

    /// The machine, for a person.
    var heading: String { "\(cpu), \(processors) processors, Linux \(kernel), \(date)\n" }

    static var processorCount: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

    static var cpuName: String {
        guard let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("model name") }),
            let colon = line.firstIndex(of: ":")
        else { return "unknown" }
        return String(line[line.index(after: colon)...].drop { $0 == " " })
    }

    static func firstLine(of path: String) -> String? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first.map { String($0) }
    }
}
