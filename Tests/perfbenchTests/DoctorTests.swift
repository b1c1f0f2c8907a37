import Foundation
import SharedMemory
import SystemPackage
import Testing

@testable import perfbench

@Suite struct DoctorTests {
    private let scratch: CommandLineTests.Scratch

    init() throws { scratch = try CommandLineTests.Scratch() }

    /// A doctor on a machine whose files are these.
    private func doctor(_ files: [String: String]) throws -> Doctor {
        for (path, text) in files {
            let file = URL(fileURLWithPath: scratch.path + path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        return Doctor(files: SystemFiles(root: scratch.path))
    }

    @Test func `a governor that is not performance is a note with what to type`() throws {
        let cpu = "/sys/devices/system/cpu"
        let doctor = try doctor([
            "\(cpu)/cpu0/cpufreq/scaling_governor": "performance\n",
            "\(cpu)/cpu1/cpufreq/scaling_governor": "powersave\n",
        ])
        let finding = doctor.frequency
        #expect(finding.level == .note)
        #expect(finding.observation.contains("powersave"))
        #expect(finding.advice == "cpupower frequency-set -g performance")
    }

    @Test func `a machine without governors, siblings and quota is as it should be`() throws {
        let doctor = try doctor([:])
        #expect([doctor.frequency, doctor.siblings, doctor.quota].allSatisfy { $0.level == .ok })
    }

    @Test func `threads of one core are told`() throws {
        let cpu = "/sys/devices/system/cpu"
        let doctor = try doctor([
            "\(cpu)/smt/active": "1\n", "\(cpu)/cpu0/topology/thread_siblings_list": "0-1\n",
            "\(cpu)/cpu1/topology/thread_siblings_list": "0-1\n",
        ])
        #expect(doctor.siblings.level == .note)
        #expect(doctor.siblings.observation.contains("(0-1)"))
    }

    @Test(arguments: [
        ("0.10 0.20 0.30 1/99 7\n", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n", true),
        ("3.00 0.20 0.30 1/99 7\n", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n", false),
        ("0.10 0.20 0.30 1/99 7\n", "some avg10=42.00 avg60=0.00 avg300=0.00 total=1\n", false),
    ])
    func `other load is a note`(load: String, pressure: String, isFine: Bool) throws {
        let doctor = try doctor(["/proc/loadavg": load, "/proc/pressure/cpu": pressure])
        #expect(doctor.load.level == (isFine ? .ok : .note))
    }

    @Test func `time that is stolen is told, while this looks and since the start`() throws {
        let doctor = try doctor([:])
        let busy = ProcessorTicks(total: 1000, stolen: 10)
        #expect(doctor.steal(from: busy, to: ProcessorTicks(total: 2000, stolen: 12)).level == .ok)
        let finding = doctor.steal(from: busy, to: ProcessorTicks(total: 1100, stolen: 60))
        #expect(finding.level == .note)
        #expect(finding.observation.hasPrefix("50.0 % now, 5.5 % since the start"))
        #expect(doctor.steal(from: nil, to: nil).observation == "not told")
    }

    @Test func `ticks of processors are read without those of guests`() throws {
        let doctor = try doctor(["/proc/stat": "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2\n"])
        #expect(doctor.processorTicks == ProcessorTicks(total: 36, stolen: 8))
    }

    /// A process in a group `box` of the group `shelf`.
    private func boxed(_ files: [String: String]) throws -> Doctor {
        let groups = files.map { ("/sys/fs/cgroup\($0.key)", $0.value) }
        let own = [
            "/proc/self/cgroup": "0::/shelf/box\n", "/sys/fs/cgroup/cgroup.controllers": "cpu\n",
        ]
        return try doctor(own.merging(groups) { $1 })
    }

    @Test(arguments: [
        ("max 100000\n", "max 100000\n", Diagnosis.Level.ok, "none"),
        ("150000 100000\n", "max 100000\n", .serious, "1.50 of 2"),
        ("max 100000\n", "50000 100000\n", .serious, "0.50 of 2"),
        ("150000 100000\n", "50000 100000\n", .serious, "0.50 of 2"),
        ("400000 100000\n", "200000 100000\n", .ok, "2.00 of 2"),
    ])
    func `less time than the processors have is serious, whichever group has it`(
        own: String, parent: String, level: Diagnosis.Level, text: String
    ) throws {
        let doctor = try boxed(["/shelf/box/cpu.max": own, "/shelf/cpu.max": parent])
        let finding = doctor.quota(processorCount: 2)
        #expect(finding.level == level)
        #expect(finding.observation.hasPrefix(text))
    }

    @Test func `a limit of control groups of version 1 is not told`() throws {
        let doctor = try doctor(["/proc/self/cgroup": "1:cpu:/box\n0::/\n"])
        #expect(doctor.quota.observation.hasPrefix("not told"))
    }

    @Test func `memory is what the tightest group has left`() throws {
        let files = [
            "/shelf/box/memory.max": "max\n", "/shelf/box/memory.current": "5\n",
            "/shelf/memory.max": "9000000\n", "/shelf/memory.current": "1000000\n",
        ]
        let doctor = try boxed(files)
        #expect(AvailableMemory.byteCount(doctor.files) == 8_000_000)
    }

    @Test(.enabled(if: hasOneProcessor, "taskset cannot be used"))
    func `processors are those that this process may use`() throws {
        let outcome = try CommandLineTests.run([
            "taskset", "-c", "0", CommandLineTests.executable, "doctor",
        ])
        #expect(outcome.output.contains("processors     one to run on"), "\(outcome.output)")
        #expect(HostFacts.processorCount == ProcessInfo.processInfo.activeProcessorCount)
    }

    private static let hasOneProcessor =
        (try? CommandLineTests.run(["taskset", "-c", "0", "true"]).status) == 0

    @Test(arguments: [
        (Optional(8 << 20), "0000000000000000", Diagnosis.Level.note),
        (1 << 30, "0000000000000000", .ok),
        (8 << 20, "0000000000004000", .ok), (nil, "0000000000000000", .ok),
    ])
    func `memory that cannot be locked is a note`(
        limit: Int?, capabilities: String, level: Diagnosis.Level
    ) throws {
        let doctor = try doctor(["/proc/self/status": "Name:\tx\nCapEff:\t\(capabilities)\n"])
        #expect(doctor.lockedMemory(limit: limit).level == level)
    }

    @Test func `memory that is short is serious`() throws {
        let short = try doctor(["/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   100000 kB\n"])
        #expect(short.availableMemory.level == .serious)
        #expect(short.availableMemory.observation.hasPrefix("97m available"))
        let enough = try doctor(["/proc/meminfo": "MemAvailable:   1000000 kB\n"])
        #expect(enough.availableMemory.level == .ok)
    }

    @Test func `what transparent huge pages are set to is read`() throws {
        let pages = "/sys/kernel/mm/transparent_hugepage"
        let doctor = try doctor([
            "/proc/meminfo": "HugePages_Free:        0\n",
            "\(pages)/enabled": "always [madvise] never\n",
            "\(pages)/shmem_enabled": "always within_size advise [never] deny force\n",
        ])
        #expect(doctor.hugePages.level == .note)
        #expect(
            doctor.hugePages.observation.hasPrefix(
                "0 reserved and free; transparent: madvise, shared: never"))
    }

    @Test(arguments: [
        (1, "madvise", "never", Diagnosis.Level.note, "payloads are scattered"),
        (31, "never", "never", .note, "payloads are scattered"),
        (32, "never", "never", .ok, "(used with --huge-pages)"),
        (0, "always", "never", .note, "payloads in it are scattered"),
        (0, "always", "always", .ok, ""),
    ])
    func `huge pages are enough for a window, or a note`(
        free: Int, transparent: String, shared: String, level: Diagnosis.Level, text: String
    ) throws {
        let pages = "/sys/kernel/mm/transparent_hugepage"
        let finding = try doctor([
            "/proc/meminfo": "HugePages_Free:        \(free)\n",
            "\(pages)/enabled": "[\(transparent)]\n",
            "\(pages)/shmem_enabled": "[\(shared)]\n",
        ]).hugePages
        #expect(finding.level == level)
        #expect(text.isEmpty || finding.observation.contains(text), "\(finding.observation)")
        #expect(finding.advice?.hasPrefix("sysctl vm.nr_hugepages=34") ?? (level == .ok))
    }

    @Test(arguments: [
        (Errno.noFunction, "", "Linux 5.6"), (.noMemory, "", "ulimit -l"),
        (.notPermitted, "2\n", "sysctl kernel.io_uring_disabled=0"),
        (.notPermitted, "0\n", "seccomp"), (.invalidArgument, "", "io_uring_setup(2)"),
    ])
    func `what keeps io_uring away is what the advice is about`(
        error: Errno, setting: String, advice: String
    ) throws {
        let doctor = try doctor(
            setting.isEmpty ? [:] : ["/proc/sys/kernel/io_uring_disabled": setting])
        let finding = doctor.uring(refusedBy: SystemCallError("io_uring_setup", error))
        #expect(finding.advice?.contains(advice) == true, "\(finding)")
    }

    @Test func `a daemon that is not beside the program is a note`() throws {
        #expect(Doctor().daemon(in: "/nonexistent").level == .note)
        _ = scratch.file("bounced", byteCount: 1)
        let mode = [FileAttributeKey.posixPermissions: 0o755]
        try FileManager.default.setAttributes(mode, ofItemAtPath: scratch.path + "/bounced")
        #expect(Doctor().daemon(in: FilePath(scratch.path)).level == .ok)
    }

    @Test func `no place for a temporary file is serious`() throws {
        let doctor = Doctor(places: ["/nonexistent", "/dev/null"])
        let finding = try #require(doctor.storageFindings.first)
        #expect(finding.level == .serious)
        #expect(finding.observation.contains("/nonexistent, /dev/null"))
        #expect(finding.advice?.contains("TMPDIR") == true)
    }

    @Test(arguments: [
        ("/data/file", "is on xfs", Diagnosis.Level.ok), ("/data2/file", "is on overlay", .note),
        ("/shm/file", "is on tmpfs", .note), ("/net/file", "is on nfs4", .note),
    ])
    func `a file is on what is mounted deepest above it`(
        path: String, part: String, level: Diagnosis.Level
    ) throws {
        let doctor = try doctor([
            "/proc/self/mountinfo": """
            1 0 0:1 / / rw - overlay none rw
            2 1 8:1 / /data rw - ext4 /dev/sda1 rw
            3 1 8:2 / /data rw,noatime shared:1 - xfs /dev/sda2 rw
            4 1 0:2 / /shm rw - tmpfs none rw
            5 1 0:3 / /net rw - nfs4 server:/ rw

            """
        ])
        let finding = doctor.fileSystem(path)
        #expect(finding.observation.contains(part), "\(finding.observation)")
        #expect(finding.level == level)
    }

    @Test(arguments: [("tsc", Diagnosis.Level.ok), ("hpet", .note)])
    func `a clock that takes a system call is a note`(name: String, level: Diagnosis.Level) throws {
        let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        #expect(try doctor([path: "\(name)\n"]).clock.level == level)
    }

    @Test func `findings are one table, with what to do below each`() {
        let findings: [Diagnosis] = [
            .ok("clock", "tsc"), .note("memory", "little", "buy some"),
            .serious("x", "broken", "mend it"),
        ]
        #expect(
            findings.table == """
                ok       clock   tsc
                note     memory  little
                                 → buy some
                serious  x       broken
                                 → mend it

                """)
        #expect(findings.isSerious)
        #expect(![Diagnosis.ok("clock", "tsc")].isSerious)
    }

    @Test func `something serious is status 69, and the JSON has it`() throws {
        let outcome = try CommandLineTests.run([
            CommandLineTests.executable, "doctor", "--file", "/nonexistent", "--format", "json",
        ])
        #expect(outcome.status == 69)
        #expect(outcome.complaint.contains("storage"))
        let diagnosis = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        #expect(diagnosis["schema"] as? String == "perfbench-doctor/1")
        let findings = try #require(diagnosis["findings"] as? [[String: String]])
        let storage = try #require(findings.first { $0["subject"] == "storage" })
        #expect(storage["level"] == "serious")
        #expect(storage["advice"]?.contains("--file") == true)
    }
}
