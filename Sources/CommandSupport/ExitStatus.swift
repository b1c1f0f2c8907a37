/// The exit statuses of this package's programs; the numbers are those of `sysexits.h` where it has one, and
/// of comparisons those of other tools for Swift benchmarks.
package enum ExitStatus: Int32 {
    case regression = 2
    case improvement = 4
    case usage = 64
    case wrongData = 65
    case noInput = 66
    case unavailable = 69
    case cannotCreate = 73
    case ioError = 74
    case noPermission = 77
    case interrupted = 130

    /// What a program's help says of its statuses.
    ///
    /// - Parameters:
    ///   - success: what 0 means.
    ///   - meanings: what the others do that the program has.
    package static func documentation(
        success: String, _ meanings: KeyValuePairs<ExitStatus, String>
    ) -> String {
        var lines = ["EXIT STATUS:", line(0, success)]
        lines += meanings.map { line($0.key.rawValue, $0.value) }
        return lines.joined(separator: "\n")
    }

    private static func line(_ code: Int32, _ meaning: String) -> String {
        "  \(code)" + String(repeating: " ", count: 5 - "\(code)".count) + meaning
    }
}
