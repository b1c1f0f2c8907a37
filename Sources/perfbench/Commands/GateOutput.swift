import ArgumentParser
import CommandSupport
import SystemPackage

/// Where comparisons go.
struct GateOutput: ParsableArguments {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table
        case json
    }

    @Option(help: "How results are printed.")
    var format = Format.table

    @Option(help: "Write results to this file instead of standard output.")
    var output: String?

    /// Prints what was found, and ends the command.
    func finish(_ report: GateReport, _ failure: CommandFailure?) throws {
        try CommonOptions.openOutput(output)
            .write(report: format == .json ? report.json() : report.table)
        try report.end(failure)
    }
}
