/// A picture of results, and the numbers in it.
struct Figure {
    /// What its file is called, without an extension: letters, digits and hyphens.
    let name: String
    /// What figures stand under this heading of a page.
    let section: String
    let title: String
    /// What it shows, and how to read it.
    let caption: String
    /// In pixels: as wide as a phone is, so that letters are as large as those around it.
    var width = 440
    var height = 300
    /// What gnuplot is told.
    let commands: String
    let numbers: TextTable

    /// A name made of any text.
    static func name(_ words: String...) -> String {
        let text = words.joined(separator: "-").lowercased().replacing("×", with: "x")
        return String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
            .split(separator: "-").joined(separator: "-")
    }

    /// The commands that make a file of it.
    ///
    /// - Parameter file: where the SVG goes; begins with a slash or a dot, since what begins with `|` is a
    ///   command to gnuplot, and `~` a home.
    func script(file: String) -> String {
        """
        reset
        set terminal svg size \(width),\(height) noenhanced font "sans-serif,12" \
        background "\(Ink.paper.light)" name "\(name.replacing("-", with: "_"))"
        set output \(file.quoted)
        set encoding utf8
        set label \(title.quoted) at screen 0.02, screen \(1 - 14 / Double(height)) font "sans-serif,13"
        set tmargin at screen \(1 - 34 / Double(height))
        set format y "%.10g"
        set border 3 lc rgb "\(Ink.grey.light)"
        set tics nomirror scale 0.5 textcolor rgb "\(Ink.text.light)"
        set grid ytics lt 1 lc rgb "\(Ink.grid.light)"
        set key bottom center outside horizontal Left reverse width 1
        \(commands)
        unset output

        """
    }
}

extension String {
    /// The text as gnuplot takes it, whatever is in it: between these marks nothing has a meaning but the
    /// mark itself, while between double ones gnuplot runs what stands in backquotes as a command.
    var quoted: String {
        let scalars = unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
        let text = String(String.UnicodeScalarView(scalars)).replacing("'", with: "''")
        return "'\(text)'"
    }
}
