/// A table for a terminal: columns as wide as their widest cell, numbers to the right.
struct TextTable {
    private var rows: [[String]]
    let leftAlignedCount: Int

    /// - Parameter leftAlignedCount: how many columns, from the left, hold text.
    init(header: [String], leftAlignedCount: Int) {
        rows = [header]
        self.leftAlignedCount = leftAlignedCount
    }

    mutating func append(_ row: [String]) {
        rows.append(row)
    }

    /// Appends an empty line.
    mutating func appendGap() {
        rows.append([])
    }

    /// Lines of cells, the header first; empty ones are gaps.
    var lines: [[String]] { rows }

    /// As Markdown, without the gaps.
    var markdown: String {
        func line(_ cells: [String]) -> String {
            "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
        }
        let header = rows[0]
        let rule = header.indices.map { $0 < leftAlignedCount ? "---" : "---:" }
        return line(header) + line(rule)
            + rows.dropFirst().filter { !$0.isEmpty }.map { row in
                line(row + Array(repeating: "", count: header.count - row.count))
            }.joined()
    }

    var text: String {
        let columnCount = rows[0].count
        let widths = (0..<columnCount).map { column in
            rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += column < leftAlignedCount ? cell + padding : padding + cell
                if column + 1 < row.count { line += "  " }
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}

extension Double {
    /// The number with so many decimal places.
    func fixed(_ places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        guard isFinite, magnitude * scale < 9e15 else { return "-" }
        let scaled = Int((magnitude * scale).rounded())
        let sign = self < 0 && scaled != 0 ? "-" : ""
        guard places > 0 else { return sign + String(scaled) }
        let fraction = String(scaled % Int(scale))
        return sign + "\(scaled / Int(scale))."
            + String(repeating: "0", count: places - fraction.count) + fraction
    }

    /// The number in three or four digits with a unit: 541k, 72.3k, 999.
    var short: String {
        for (unit, factor) in [("G", 1e9), ("M", 1e6), ("k", 1e3)] where magnitude >= factor {
            let value = self / factor
            return value.fixed(value.magnitude < 100 ? 1 : 0) + unit
        }
        return fixed(magnitude < 10 ? 1 : 0)
    }

    /// Nanoseconds as microseconds.
    var microseconds: String { (self / 1000).fixed(self.magnitude < 100_000 ? 2 : 0) }
}
