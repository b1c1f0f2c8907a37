extension Report {
    /// What medians, intervals and the figure behind them are, for a person; and where the machine was too
    /// noisy to tell much, by how much something would have to move.
    ///
    /// - Parameters:
    ///   - roundCounts: of the runs.
    ///   - warmUpRoundCounts: likewise, of those that were discarded.
    func noiseLines(_ roundCounts: [Int], warmUp warmUpRoundCounts: [Int?]) -> [String] {
        let count = roundCounts.min() ?? 0
        let discarded = warmUpRoundCounts.compactMap { $0 }.max() ?? 0
        guard count >= 6 else {
            return [
                "Medians over \(count) rounds, after up to \(discarded) of warm-up; [low, high] is their"
                    + " range, for want of rounds."
            ]
        }
        var lines = [
            "Medians over \(count) rounds, after up to \(discarded) of warm-up; [low, high] covers the true one"
                + " with 95 % confidence; ±: less than that would not be seen in another such run."
        ]
        let noisy = ratios.filter(\.isNoisy)
        if let worst = noisy.max(by: { $0.relativeDetectable < $1.relativeDetectable }) {
            lines.append(
                "Too noisy to tell much of \(noisy.count) of \(ratios.count) ratios: to be seen, the worst,"
                    + " \(worst.name), would have to move by"
                    + " \((worst.relativeDetectable * 100).fixed(0)) %. Stop other load, or use more --rounds."
            )
        }
        return lines
    }
}

extension Ratio {
    /// What one would call too noisy: a change of a tenth would not be seen. Differences, which may be
    /// near zero, are never.
    fileprivate var isNoisy: Bool { !metric.hasPrefix("added") && relativeDetectable > 0.1 }

    fileprivate var relativeDetectable: Double {
        (detectable ?? 0) / max(median.magnitude, .leastNormalMagnitude)
    }
}
