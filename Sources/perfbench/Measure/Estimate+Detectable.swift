extension Estimate {
    /// The normal distribution is within so many standard deviations 95 % of the time.
    static let normalQuantile95 = 1.960

    /// How large an effect must be, in half widths of its 95 % interval, to be significant at 1 % four
    /// times in five: the quantiles of 99.5 % and 80 % together. H. S. Bloom, "Minimum Detectable
    /// Effects", 1995.
    static let detectableHalfWidths = (2.576 + 0.842) / normalQuantile95

    /// By how much another run like this one would have to differ for the difference to be seen, in the
    /// unit of the median.
    ///
    /// - Returns: `nil` for fewer than six rounds, whose range is no interval.
    func detectable(roundCount: Int) -> Double? {
        guard roundCount >= 6 else { return nil }
        return (high - low) / 2 * Self.detectableHalfWidths * 2.0.squareRoot()
    }
}
