import CommandSupport
import FoundationEssentials
import SystemPackage

/// The program that draws figures: gnuplot, which is looked for when it is needed.
struct Gnuplot {
    /// Debian's package that has it.
    static let package = "gnuplot-nox"

    private let program: String

    /// - Throws: `CommandFailure` with status 69 where there is none.
    init() throws(CommandFailure) {
        guard let program = Programs.find("gnuplot") else {
            throw CommandFailure(
                .unavailable,
                "figures are drawn by gnuplot, which is not installed: apt-get install \(Self.package)"
            )
        }
        self.program = program
    }

    /// Draws figures, one file `NAME.svg` each.
    ///
    /// - Parameter directory: where the files go, and, for as long as this takes, the script and what is
    ///   said of it.
    /// - Returns: the files' texts, in the order of the figures.
    /// - Throws: `CommandFailure` with status 69 where gnuplot fails.
    func draw(_ figures: [Figure], in directory: FilePath) throws -> [String] {
        // A path is no option and no command, whatever it begins with.
        let directory = directory.isAbsolute ? directory : FilePath("./\(directory)")
        let script = directory.appending(".figures.gp")
        let messages = directory.appending(".figures.log")
        let files = figures.map { directory.appending("\($0.name).svg") }
        defer {
            for file in [script, messages] {
                try? FileManager.default.removeItem(atPath: file.string)
            }
        }
        try OutputFile.write(
            zip(figures, files).map { $0.script(file: $1.string) }.joined(), to: script)
        // -d: without the settings of whoever runs this.
        let status = try ChildProcess([program, "-d", script.string], messages: messages).wait()
        guard status == 0 else {
            let said = SystemFiles().text(messages.string)?.split(separator: "\n")
                .last { !$0.allSatisfy { $0 == " " || $0 == "^" } }
            throw CommandFailure(
                .unavailable, "gnuplot failed (\(said ?? "status \(status)")); is it 5.4 or later?")
        }
        return try zip(figures, files).map { figure, file in
            let drawn = try String(contentsOfFile: file.string, encoding: .utf8)
            let finished = figure.finish(drawn)
            try OutputFile.write(finished, to: file)
            return finished
        }
    }
}
