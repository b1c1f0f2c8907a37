import ArgumentParser
import CommandSupport
import SystemPackage

/// Where comparisons go.
struct GateOutput: ParsableArguments {
    @Option(help: "How results are printed.")
    var format = FindingsFormat.table

    @Option(help: "Write results to this file instead of standard output.")
    var output: String?

    /// Compares, prints what was found, and ends the command.
    ///
    /// - Parameter compare: fills a report, and says why it is not complete.
    func report(_ compare: () throws -> (GateReport, CommandFailure?)) throws {
        // Before anything is measured.
        let file = try CommonOptions.openOutput(output)
        let (report, failure) = try compare()
        try file.write(report: format == .json ? report.json() : report.table)
        try report.end(failure)
    }
}
