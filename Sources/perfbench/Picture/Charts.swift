import Glibc

/// The kinds of charts, as commands of gnuplot.
enum Chart {
    /// A value by size, with intervals: sizes by powers of two, and lines beside each other where they meet.
    ///
    /// - Parameter reference: a line across, and what it is.
    static func bySize(
        _ series: [Series], xLabel: String, yLabel: String, isLogarithmic: Bool = false,
        reference: (value: Double, name: String)? = nil
    ) -> String {
        let sizes = Set(series.flatMap { $0.points.map(\.x) }).sorted()
        let tics = sizes.map { "\(ByteSize(Int($0)).description.quoted) \($0)" }
        let (first, last) = (sizes.first ?? 1, sizes.last ?? 1)
        var plots = series.indices.map { index in
            "$s\(index) using 1:2:3:4 with yerrorlines \(series[index].style)"
                + " title \(series[index].name.quoted)"
        }
        if let reference {
            plots.insert(
                "\(reference.value) with lines lw 2 lc rgb \"\(Ink.grey.light)\" title "
                    + reference.name.quoted, at: 0)
        }
        let blocks = series.indices.map { index in
            // Apart by an eighth of a doubling, so that intervals do not hide each other.
            let shift = Double(index) - Double(series.count - 1) / 2
            return block(
                "$s\(index)",
                series[index].points.map { point in
                    [
                        point.x * exp2(shift / 8), point.y, point.low ?? point.y,
                        point.high ?? point.y,
                    ]
                })
        }
        return blocks.joined() + """
            set logscale x 2
            set xrange [\(first / 1.5):\(last * 1.5)]
            set xtics (\(tics.joined(separator: ", ")))
            set xlabel \(xLabel.quoted) offset 0, 0.7
            set ylabel \(yLabel.quoted)
            \(isLogarithmic ? "set logscale y" : "")
            plot \(plots.joined(separator: ", "))
            """
    }

    /// Latencies by percentile: each step to the right is for the tenth part that is slower.
    static func byPercentile(
        _ series: [(name: String, look: Series.Look, latency: BlockRun.Latency)]
    )
        -> String
    {
        let lines = series.map { entry in
            Series(
                name: entry.name, look: entry.look,
                points: BlockRun.Latency.percentiles.compactMap { percentile in
                    entry.latency.percentile[BlockRun.Latency.key(percentile)].map {
                        Series.Point(
                            x: 100 / (100 - percentile), y: Double(max($0, 1)) / 1000)
                    }
                })
        }
        let plots = lines.indices.map { index in
            "$s\(index) using 1:2 with linespoints \(lines[index].style) title "
                + lines[index].name.quoted
        }
        return lines.indices.map { index in
            block("$s\(index)", lines[index].points.map { [$0.x, $0.y] })
        }.joined() + """
            set logscale xy
            set xrange [1.8:12000]
            set xtics ("50" 2, "90" 10, "99" 100, "99.9" 1000, "99.99" 10000)
            set xlabel "percentile" offset 0, 0.7
            set ylabel "µs"
            plot \(plots.joined(separator: ", "))
            """
    }

    /// Something over time, which stays as it is from one look to the next.
    static func overTime(_ series: [Series], yLabel: String) -> String {
        let plots = series.indices.map { index in
            "$s\(index) using 1:2 with steps \(series[index].style) title "
                + series[index].name.quoted
        }
        return series.indices.map { index in
            block("$s\(index)", series[index].points.map { [$0.x, $0.y] })
        }.joined() + """
            set xlabel "ms" offset 0, 0.7
            set ylabel \(yLabel.quoted)
            set yrange [0:*]
            set offsets 0, 0, graph 0.08, 0
            plot \(plots.joined(separator: ", "))
            """
    }

    /// A row of a chart of bars.
    enum BarRow {
        case heading(String)
        case bar(name: String, parts: [Double])
    }

    /// Rows of bars, each of parts that follow each other, and their sum.
    ///
    /// - Parameter parts: what the parts are, and their colours.
    static func bars(
        _ rows: [BarRow], parts: [(name: String, ink: Ink)], xLabel: String
    ) -> String {
        var tics: [String] = []
        var labels: [String] = []
        var boxes = parts.map { _ in [[Double]]() }
        for (index, row) in rows.enumerated() {
            let y = Double(rows.count - index)
            switch row {
            case .heading(let text):
                labels.append("set label \(text.quoted) at graph 0, first \(y) offset 0.5, 0")
            case .bar(let name, let values):
                tics.append("\(name.quoted) \(y)")
                var sum = 0.0
                for (part, value) in values.enumerated() {
                    boxes[part].append([sum + value / 2, y, sum, sum + value, y - 0.36, y + 0.36])
                    sum += value
                }
                labels.append(
                    "set label \(sum.fixed(2).quoted) at first \(sum), first \(y) offset 0.5, 0")
            }
        }
        let plots = parts.enumerated().map { index, part in
            "$s\(index) using 1:2:3:4:5:6 with boxxyerror fs solid 1 noborder lc rgb"
                + " \"\(part.ink.light)\" title \(part.name.quoted)"
        }
        return boxes.enumerated().map { block("$s\($0)", $1) }.joined() + """
            set ytics (\(tics.joined(separator: ", "))) scale 0
            unset grid
            set grid xtics lt 1 lc rgb "\(Ink.grid.light)"
            set yrange [0.3:\(Double(rows.count) + 0.7)]
            set xrange [0:*]
            set offsets 0, graph 0.12, 0, 0
            set xlabel \(xLabel.quoted) offset 0, 0.7
            \(labels.joined(separator: "\n"))
            plot \(plots.joined(separator: ", "))
            """
    }

    private static func block(_ name: String, _ rows: [[Double]]) -> String {
        let lines = rows.map { $0.map { "\($0)" }.joined(separator: " ") + "\n" }
        return "\(name) << EOD\n\(lines.joined())EOD\n"
    }

}
