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
    private var beginNanoseconds: UInt64 = 0

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
        let now = monotonicNanoseconds()
        if step == 0 { beginNanoseconds = now }
        let elapsed = Double(now - beginNanoseconds) / 1e9
        StandardError.write(
            "\r\u{1B}[K\(Self.text(step, of: stepCount, what(), remaining(elapsed)))")
        step += 1
    }

    private func remaining(_ elapsedSeconds: Double) -> Double {
        Self.remainingSeconds(
            step: step, of: stepCount, elapsedSeconds: elapsedSeconds,
            secondsPerStepPlanned: secondsPerStep)
    }

    static func text(
        _ step: Int, of stepCount: Int, _ what: String, _ remainingSeconds: Double
    ) -> String {
        let percent = min(step * 100 / max(stepCount, 1), 100)
        return "[\(percent) %] \(what), \(Int(remainingSeconds.rounded(.up))) s left"
    }

    /// How long the rest takes: as planned at first, then at the pace of what is done, on which other load
    /// and what lies between steps have a say.
    static func remainingSeconds(
        step: Int, of stepCount: Int, elapsedSeconds: Double, secondsPerStepPlanned: Double
    ) -> Double {
        let pace = step < 4 ? secondsPerStepPlanned : elapsedSeconds / Double(step)
        // A warm-up can take more steps than were planned.
        return Double(max(stepCount - step, 0)) * pace
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
