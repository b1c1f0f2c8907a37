import CommandSupport
import FoundationEssentials
import SystemPackage

extension Build {
    /// Runs of each probe that are counted.
    private static let probeRunCount = 2000

    /// Instructions that a run of each probe retires, by valgrind's callgrind: the same to the last digit or
    /// two every time, whatever else goes on.
    func instructions(of probes: [Probe]) throws(CommandFailure) -> [Probe: Double] {
        let program = try strippedCopy()
        let counts = directory.path.appending("callgrind.counts")
        let log = directory.path.appending("callgrind.log")
        try run(
            [
                "/usr/bin/env", "SWIFT_DETERMINISTIC_HASHING=1", "valgrind", "--tool=callgrind",
                "--dump-before=\(ProbeMark.function)", "--combine-dumps=yes",
                "--callgrind-out-file=\(counts)", "--log-file=\(log)", program.string, "probe",
                probes.map(\.rawValue).joined(separator: ","), "--count", "\(Self.probeRunCount)",
            ], named: "valgrind")
        let text = (try? String(contentsOfFile: counts.string, encoding: .utf8)) ?? ""
        // A part before each mark, and one behind the last: every other one is a probe's loop.
        let parts = text.split(separator: "\n").filter { $0.hasPrefix("summary: ") }
            .compactMap { Double($0.dropFirst("summary: ".count)) }
        guard parts.count == 2 * probes.count + 1 else {
            throw CommandFailure(
                .unavailable, "valgrind counts no instructions here; see 'valgrind --version'")
        }
        var result: [Probe: Double] = [:]
        for (index, probe) in probes.enumerated() {
            result[probe] = parts[2 * index + 1] / Double(Self.probeRunCount)
        }
        return result
    }

    /// The program without what is for debuggers, which valgrind 3.19 gives up on.
    private func strippedCopy() throws(CommandFailure) -> FilePath {
        let copy = directory.path.appending("stripped")
        try run(
            ["/usr/bin/env", "objcopy", "--strip-debug", executable.string, copy.string],
            named: "objcopy")
        return copy
    }
}
