import ArgumentParser
import CommandSupport
import SystemPackage

/// `perfbench doctor`: what of this machine distorts measurements.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Tells what on this machine distorts measurements, and what to do about it.",
        discussion: """
            Looks at the build, processors, memory, io_uring, the file system, other load and the tools \
            that perfbench uses. Nothing is changed. What is serious keeps perfbench from measuring, or \
            makes what it measures mislead; of notes one should know, and often can mend them.

            \(exitStatus)
            """)

    private static let exitStatus = ExitStatus.documentation(
        success: "nothing serious was found",
        [
            .usage: "the command line asks for something that cannot be",
            .unavailable: "something serious was found",
        ])

    @Option(help: "File or block device that is to be measured.", completion: .file())
    var file: String?

    @Option(help: "How findings are printed.")
    var format = FindingsFormat.table

    func run() throws {
        try reportingFailures {
            let findings = Doctor(storage: file).examine()
            switch format {
            case .table: try FileDescriptor.standardOutput.write(report: findings.table)
            case .json:
                try FileDescriptor.standardOutput.write(
                    report: jsonText(of: Examination(findings: findings)))
            }
            let subjects = findings.filter { $0.level == .serious }.map(\.subject)
            guard subjects.isEmpty else {
                throw CommandFailure(
                    .unavailable,
                    "measurements here are impossible, or mislead: "
                        + subjects.joined(separator: ", "))
            }
        }
    }

    /// What `--format json` prints.
    struct Examination: Encodable {
        var schema = "perfbench-doctor/1"
        let findings: [Diagnosis]
    }
}
