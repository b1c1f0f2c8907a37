import ArgumentParser
import CommandSupport
import SystemPackage

/// `perfbench report`: pictures of results, or the results in another format.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Makes a page with figures of results, or prints them in another format.",
        discussion: """
            Results are what a measuring command wrote with --format json. The page, index.html, needs \
            nothing beside it and no network; its figures are in files of their own as well. They are \
            drawn by gnuplot (Debian's \(Gnuplot.package)).

            \(exitStatus)
            """)

    private static let exitStatus = ExitStatus.documentation(
        success: "everything was written",
        [
            .usage: "the command line asks for something that cannot be",
            .wrongData: "the file holds no results",
            .noInput: "the file does not exist, or may not be read",
            .unavailable: "gnuplot is not installed, or failed",
            .cannotCreate: "the directory, or a file in it, cannot be created",
            .ioError: "the disk is full",
        ])

    @Argument(help: "Results: what --format json has written.", completion: .file())
    var results: String

    @Option(
        help: """
            Directory for the page and its figures, which is made where it is missing; with --format, the \
            file to write instead of standard output.
            """, completion: .file())
    var output: String?

    @Option(help: "Print the results in this format instead: \(OutputFormat.names).")
    var format: OutputFormat?

    func validate() throws {
        guard output != nil || format != nil else {
            throw ValidationError(
                "name a directory for the page, by --output DIR, or a --format to print")
        }
    }

    func run() throws {
        try reportingFailures {
            switch try Report<AnyRun>(contentsOf: results).runs.first?.workload {
            case BlockRun.workloadName: try show(Report<BlockRun>(contentsOf: results))
            case NetRun.workloadName: try show(Report<NetRun>(contentsOf: results))
            case PoolRun.workloadName: try show(Report<PoolRun>(contentsOf: results))
            case let name?:
                throw CommandFailure(
                    .wrongData,
                    "\(results) has results of \(name), which this perfbench does not know; use the"
                        + " perfbench that measured them")
            case nil:
                throw CommandFailure(
                    .wrongData, "\(results) has no runs: nothing was measured; measure again")
            }
        }
    }

    private func show(_ report: Report<some ReportedRun>) throws {
        guard report.isSound else {
            throw CommandFailure(
                .wrongData, "\(results) has numbers that no measurement makes; measure again")
        }
        if let format {
            let text = try report.text(as: format)
            return try CommonOptions.openOutput(output, apartFrom: results).write(report: text)
        }
        let gnuplot = try Gnuplot()
        let directory = FilePath(output ?? ".")
        try OutputFile.makeDirectory(directory)
        let page = try report.page(drawnBy: gnuplot, in: directory)
        try OutputFile.write(page.html, to: directory.appending("index.html"))
    }
}

extension Report where Run: ReportedRun {
    /// The page of the report; its figures are drawn, each into a file.
    fileprivate func page(drawnBy gnuplot: Gnuplot, in directory: FilePath) throws -> Page {
        let figures = Run.figures(of: self)
        let drawn = try gnuplot.draw(figures, in: directory)
        return Page(
            title: "perfbench \(Run.workloadName): what bouncing costs", text: Run.text(of: self),
            facts: host.facts, figures: Array(zip(figures, drawn)))
    }
}
