/// Results as a page that needs nothing beside it: figures, the numbers in them, and what was measured on
/// what.
struct Page {
    let title: String
    let text: ReportText
    /// What was measured on: a name and a value each.
    let facts: [(name: String, value: String)]
    /// Figures, and as what they were drawn.
    let figures: [(figure: Figure, svg: String)]

    var html: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>\(title.escaped)</title>
        <style>
        \(Self.styleSheet)</style>
        </head>
        <body>
        <header>
        <h1>\(title.escaped)</h1>
        \(warnings)<dl>
        \(facts.map { "<dt>\($0.name.escaped)</dt><dd>\($0.value.escaped)</dd>\n" }.joined())</dl>
        </header>
        <main>
        \(sections)<section>
        <h2>All numbers</h2>
        \(text.tables.map(\.html).joined())\(paragraphs(text.remarks))</section>
        </main>
        </body>
        </html>

        """
    }

    private var warnings: String {
        guard !text.warnings.isEmpty else { return "" }
        return "<div class=\"warning\" role=\"note\">\n\(paragraphs(text.warnings))</div>\n"
    }

    private var sections: String {
        figures.map(\.figure.section).uniqued.map { section in
            let members = figures.filter { $0.figure.section == section }.map { figure, svg in
                """
                <figure>
                \(svg.inline)
                <figcaption>\(figure.caption.escaped)
                <a href="\(figure.name).svg">SVG</a></figcaption>
                \(figure.numbers.html)</figure>

                """
            }
            return """
                <section>
                <h2>\(section.escaped)</h2>
                <div class="figures">
                \(members.joined())</div>
                </section>

                """
        }.joined()
    }

    private func paragraphs(_ texts: [String]) -> String {
        texts.map { "<p>\($0.escaped)</p>\n" }.joined()
    }
}

extension String {
    /// A picture without what only a file of its own needs.
    fileprivate var inline: String {
        guard let begin = firstRange(of: "<svg") else { return self }
        return String(self[begin.lowerBound...])
    }
}

extension TextTable {
    /// As HTML, in a box that scrolls by itself where the screen is narrow.
    var html: String {
        func row(_ cells: [String], _ tag: String) -> String {
            let texts = lines[0].indices.map { column in
                let kind = column < leftAlignedCount ? " class=\"text\"" : ""
                let cell = column < cells.count ? cells[column].escaped : ""
                return "<\(tag)\(kind)>\(cell)</\(tag)>"
            }
            return "<tr>\(texts.joined())</tr>\n"
        }
        let body = lines.dropFirst().filter { !$0.isEmpty }.map { row($0, "td") }.joined()
        return """
            <div class="table" tabindex="0"><table>
            <thead>
            \(row(lines[0], "th"))</thead>
            <tbody>
            \(body)</tbody>
            </table></div>

            """
    }
}
