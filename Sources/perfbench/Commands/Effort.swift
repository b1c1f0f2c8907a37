import ArgumentParser

/// How much time a measurement takes, in a word.
enum Effort: String, EnumerableFlag {
    case quick
    case thorough

    /// What the rounds of `--quick` take, whatever is compared; what comes before them takes some more.
    static let quickSeconds = 13.0

    static func help(for value: Effort) -> ArgumentHelp? {
        switch value {
        case .quick:
            """
            Measure for some 15 seconds in all: \(Pace.quickRoundCount) rounds, as long as fits. For a first \
            look.
            """
        case .thorough:
            """
            Measure \(Pace.thorough.roundCount) rounds of \(Pace.thorough.roundSeconds) s a path, for narrow \
            intervals.
            """
        }
    }
}

/// How often and how long each path is measured.
struct Pace: Equatable {
    var roundCount: Int
    var roundSeconds: Double

    static let usual = Pace(roundCount: 12, roundSeconds: 0.12)
    static let thorough = Pace(roundCount: 40, roundSeconds: 0.25)
    /// The fewest of which an interval with 95 % confidence can be had.
    static let quickRoundCount = 6

    /// What a step takes besides the time in which it measures.
    private static let overheadSeconds = 0.02

    /// The pace of ``Effort/quick``.
    ///
    /// - Parameters:
    ///   - stepCountPerRound: how many paths of how many cases there are.
    ///   - share: the part of a round's seconds that a step takes.
    static func quick(stepCountPerRound: Int, share: Double) -> Pace {
        let stepCount = Double(max(stepCountPerRound, 1) * (quickRoundCount + 1))
        let seconds = Effort.quickSeconds / stepCount - overheadSeconds * share
        return Pace(
            roundCount: quickRoundCount,
            roundSeconds: min(max(seconds / share, 0.004), usual.roundSeconds))
    }
}
