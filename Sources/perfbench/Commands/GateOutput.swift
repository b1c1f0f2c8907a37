import ArgumentParser
import CommandSupport
import SystemPackage

/// Where comparisons go.
struct GateOutput: ParsableArguments {
    @Option(help: "How results are printed.")
    var format = FindingsFormat.table

    @Option(help: "Write results to this file instead of standard output.")
    var output: String?

    /// Prints what was found, and ends the command.
    func finish(_ report: GateReport, _ failure: CommandFailure?) throws {
        try CommonOptions.openOutput(output)
            .write(report: format == .json ? report.json() : report.table)
        try report.end(failure)
    }
}
