/// The colours of figures, on light paper and on dark.
///
/// Those of lines can be told apart with any colour vision: they are of M. Okabe and K. Ito, "Color
/// Universal Design" (2008), darkened for white paper and lightened for dark. Lines differ in points and
/// dashes as well.
enum Ink: CaseIterable {
    case paper
    case text
    case grid
    case blue
    case sky
    case vermilion
    case amber
    case green
    case purple
    case grey

    /// As figures are drawn.
    var light: String {
        switch self {
        case .paper: "#ffffff"
        // As gnuplot writes it where nothing was asked for.
        case .text: "black"
        case .grid: "#d8dee4"
        case .blue: "#0072b2"
        case .sky: "#2f9bd8"
        case .vermilion: "#d55e00"
        case .amber: "#b07d00"
        case .green: "#00825f"
        case .purple: "#b3588d"
        case .grey: "#6b7280"
        }
    }

    /// What a style sheet makes of that where dark paper is preferred.
    var dark: String {
        switch self {
        case .paper: "#0d1117"
        case .text: "#e6edf3"
        case .grid: "#343b44"
        case .blue: "#58a6e8"
        case .sky: "#9fd4f7"
        case .vermilion: "#ff8b4d"
        case .amber: "#e8bd4a"
        case .green: "#4cc9a0"
        case .purple: "#e39cc6"
        case .grey: "#9aa4b0"
        }
    }

    /// Rules by which a figure on a page, or alone in a browser, follows the reader's preference. On paper
    /// it stays light.
    static var styleSheet: String {
        let rules = allCases.map { ink in
            ["fill", "stroke", "color"].map { name in
                "[\(name)=\"\(ink.light)\"] { \(name): \(ink.dark) }\n"
            }.joined()
        }
        return "@media screen and (prefers-color-scheme: dark) {\n\(rules.joined())}\n"
    }

    /// The same colour, as gnuplot writes it in one place and another.
    var spellings: [String] {
        let number = Int(light.drop { $0 == "#" }, radix: 16) ?? 0
        let parts = [number >> 16, number >> 8 & 0xFF, number & 0xFF]
        let padded = parts.map { String(repeating: " ", count: 3 - "\($0)".count) + "\($0)" }
        return [
            "rgb(\(parts.map(String.init).joined(separator: ",")))",
            "rgb(\(padded.joined(separator: ", ")))", light.uppercased(),
        ]
    }
}
