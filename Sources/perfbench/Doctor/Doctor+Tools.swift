import FoundationEssentials
import SystemPackage

/// What is there to count and to draw with.
extension Doctor {
    /// What `net` and `--via vhost-user` start.
    var daemon: Diagnosis { daemon(in: Programs.directory) }

    func daemon(in directory: FilePath) -> Diagnosis {
        let subject = "bounced"
        let path = directory.appending(subject).string
        guard FileManager.default.isExecutableFile(atPath: path) else {
            return .note(
                subject,
                "not in \(directory): --via vhost-user, and net by default, need a --socket",
                "swift build -c release --product bounced")
        }
        return .ok(subject, path)
    }

    /// Instructions are counted by the one, and found by the other.
    var valgrind: Diagnosis {
        tool("valgrind", "instructions cannot be counted", package: "valgrind")
    }
    var objcopy: Diagnosis {
        tool("objcopy", "instructions cannot be counted", package: "binutils")
    }

    var gnuplot: Diagnosis {
        tool("gnuplot", "perfbench report draws no figures", package: Gnuplot.package)
    }

    private func tool(_ name: String, _ lack: String, package: String) -> Diagnosis {
        if let path = Programs.find(name) { return .ok(name, path) }
        return .note(name, "not installed: \(lack)", "apt-get install \(package)")
    }
}
