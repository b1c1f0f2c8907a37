import CommandSupport
import Glibc
import Logging

extension StandardError {
    static let isTerminal = isatty(STDERR_FILENO) == 1
}

/// One line on a terminal that says how far the run is; nothing where standard error is no
/// terminal.
struct ProgressLine {
    private let stepCount: Int
    private let secondsPerStep: Double
    private var step = 0

    /// - Parameters:
    ///   - stepCount: how often ``advance(_:)`` will be called.
    ///   - secondsPerStep: how long each takes.
    init(stepCount: Int, secondsPerStep: Double) {
        self.stepCount = stepCount
        self.secondsPerStep = secondsPerStep
    }

    /// Shows that a step begins.
    mutating func advance(_ what: @autoclosure () -> String) {
        guard StandardError.isTerminal else { return }
        let left = Int((Double(stepCount - step) * secondsPerStep).rounded(.up))
        StandardError.write(
            "\r\u{1B}[K[\(step * 100 / max(stepCount, 1)) %] \(what()), \(left) s left")
        step += 1
    }

    /// Shows a message in place of the steps.
    func show(_ message: String) {
        guard StandardError.isTerminal else { return }
        StandardError.write("\r\u{1B}[K\(message)")
    }

    /// Removes the line.
    func clear() {
        guard StandardError.isTerminal else { return }
        StandardError.write("\r\u{1B}[K")
    }
}

extension Logger {
    /// Notices of the libraries, one line each on standard error.
    static var toStandardError: Logger {
        Logger(label: "perfbench", factory: { StreamLogHandler.standardError(label: $0) })
    }
}
