import Glibc

/// What of machine and build decides whether results can be compared.
struct MachineFacts: Codable, Equatable {
    var cpu: String
    var processors: Int
    var kernel: String
    var architecture: String
    var pageBytes: Int
    /// Whether memory may come in huge pages by itself: `always`, `madvise` or `never`.
    var transparentHugePages: String
    /// What the program was compiled with, as far as it can tell.
    var swift: String
    var cLibrary: String

    init() {
        cpu = HostFacts.cpuName
        processors = HostFacts.processorCount
        kernel = HostFacts.kernelName
        pageBytes = sysconf(Int32(_SC_PAGESIZE))
        transparentHugePages =
            SystemFiles().choice("/sys/kernel/mm/transparent_hugepage/enabled") ?? ""
        var name = [CChar](repeating: 0, count: 64)
        // SAFETY: as long as the array is, and ends what it writes.
        _ = unsafe confstr(Int32(_CS_GNU_LIBC_VERSION), &name, name.count)
        cLibrary = String(
            decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #if arch(x86_64)
        architecture = "x86_64"
        #elseif arch(arm64)
        architecture = "aarch64"
        #else
        architecture = "other"
        #endif
        #if compiler(>=6.4)
        swift = "6.4 or later"
        #elseif compiler(>=6.3)
        swift = "6.3"
        #else
        swift = "6.2"
        #endif
    }

    /// Whether the times of both mean the same.
    func isLike(_ other: MachineFacts) -> Bool {
        cpu == other.cpu && processors == other.processors && pageBytes == other.pageBytes
            && transparentHugePages == other.transparentHugePages
    }

    /// Whether both retire the same instructions for the same source.
    func countsLike(_ other: MachineFacts) -> Bool {
        architecture == other.architecture && swift == other.swift && cLibrary == other.cLibrary
    }
}
