import ArgumentParser
import CommandSupport

/// How results are printed.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    /// Columns for a terminal.
    case table
    /// Everything, by the schema `perfbench/1`.
    case json
    /// The table as Markdown, for the page of a CI job.
    case markdown
    /// A line for each measure of each run.
    case csv
    /// The keys of fio's JSON; block results only.
    case fio
    /// The Bencher Metric Format.
    case bencher

    static let names = allCases.map(\.rawValue).joined(separator: ", ")

    static let help: ArgumentHelp = """
        How results are printed: table, json (everything), markdown (the table for the page of a CI job), \
        csv (a line for each measure), fio (the keys of fio's JSON; block only), bencher (the Bencher \
        Metric Format).
        """
}

extension Report where Run: ReportedRun {
    /// The report in a format.
    ///
    /// - Throws: `CommandFailure` with status 64 for one that has no place for this workload.
    func text(as format: OutputFormat) throws -> String {
        switch format {
        case .table: Run.text(of: self).plain
        case .json: try json()
        case .markdown: Run.text(of: self).markdown(title: "perfbench \(Run.workloadName)")
        case .csv: csv
        case .fio: try jsonText(of: fio())
        case .bencher: try jsonText(of: bencher)
        }
    }

    /// A line for each measure of each run: what distinguishes the run, the measure, its value and interval.
    ///
    /// Where nothing was measured before the end, one line says so, by a measure `incomplete`.
    var csv: String {
        let labels = runs.first?.labels.map(\.key) ?? []
        var lines = [
            ["workload"] + labels + ["measure", "value", "low", "high", "rounds", "complete"]
        ]
        for run in runs {
            let start = [Run.workloadName] + run.labels.map(\.value)
            for measure in measures(of: run) {
                let interval = [measure.low, measure.high].map { $0.map { "\($0)" } ?? "" }
                let end = ["\(run.rounds)", "\(isComplete)"]
                lines.append(start + [measure.name, "\(measure.value)"] + interval + end)
            }
        }
        if runs.isEmpty, !isComplete {
            lines.append([Run.workloadName, "incomplete", "1", "", "", "0", "false"])
        }
        return lines.map { $0.map(\.csvField).joined(separator: ",") + "\n" }.joined()
    }

    /// Benchmarks by name, their measures by name (https://bencher.dev/docs/reference/bencher-metric-format/).
    ///
    /// The format has no place for what a report as a whole is, so that it ended early is a measure,
    /// `incomplete`, which is there only then; of a benchmark by the workload's name where there is none.
    var bencher: [String: [String: BencherMetric]] {
        var benchmarks: [String: [String: BencherMetric]] = [:]
        for run in runs {
            let name = ([Run.workloadName] + run.labels.map(\.value)).joined(separator: "/")
            var metrics: [String: BencherMetric] = [:]
            for measure in measures(of: run) {
                metrics[measure.name] = BencherMetric(
                    value: measure.value, lowerValue: measure.low, upperValue: measure.high)
            }
            benchmarks[name] = metrics
        }
        if !isComplete {
            if runs.isEmpty { benchmarks[Run.workloadName] = [:] }
            for name in benchmarks.keys {
                benchmarks[name]?["incomplete"] = BencherMetric(value: 1)
            }
        }
        return benchmarks
    }

    private func fio() throws(CommandFailure) -> JSONValue {
        guard let report = self as? Report<BlockRun> else {
            throw CommandFailure(
                .usage,
                "fio's format has no place for results of perfbench \(Run.workloadName); use csv")
        }
        return report.fioOutput
    }
}

/// A value with the interval that it is expected in.
struct BencherMetric: Encodable {
    let value: Double
    var lowerValue: Double?
    var upperValue: Double?
}

extension String {
    /// The text as RFC 4180 has it.
    fileprivate var csvField: String {
        contains { $0 == "," || $0 == "\"" || $0.isNewline }
            ? "\"\(replacing("\"", with: "\"\""))\"" : self
    }
}
