/// What a report says to a person: on a terminal, on the page of a CI job, or beside figures.
struct ReportText {
    /// That the results are not whole, and why.
    var warnings: [String] = []
    /// What was measured, and on what.
    var heading: [String]
    var tables: [TextTable]
    /// How to read the tables.
    var remarks: [String]

    /// For a terminal.
    var plain: String {
        guard !tables.isEmpty else { return (["Nothing was measured."] + warnings).lines }
        return heading.lines + "\n" + tables.map { $0.text + "\n" }.joined()
            + (remarks + warnings).lines
    }

    /// For a page that shows Markdown.
    ///
    /// - Parameter title: what was run.
    func markdown(title: String) -> String {
        let warnings = warnings.map { "**\($0)**" }
        let body = tables.isEmpty ? ["Nothing was measured."] : tables.map(\.markdown)
        return (["### \(title)"] + warnings + heading + body + remarks)
            .map { $0.replacing("<", with: "&lt;") }
            .map { $0.hasSuffix("\n") ? $0 : $0 + "\n" }.joined(separator: "\n")
    }
}

extension [String] {
    fileprivate var lines: String { map { $0 + "\n" }.joined() }
}
