import Glibc

/// A median over rounds, and an interval that covers the true one.
struct Estimate: Codable, Equatable {
    var median: Double
    var low: Double
    var high: Double

    /// - Parameter samples: one of each round, at least one, in any order.
    ///
    /// The interval is the order-statistic (sign test) interval for a median: from the k-th
    /// smallest to the k-th largest sample, with the largest k that keeps at least 95 % coverage
    /// under the binomial distribution with p = 1/2; the whole range where too few rounds were made
    /// for that (fewer than 6). It assumes nothing of how samples are distributed, only that rounds
    /// are independent. See W. J. Conover, "Practical Nonparametric Statistics", 3.2.
    init(_ samples: [Double]) {
        precondition(!samples.isEmpty, "an estimate needs a sample")
        let sorted = samples.sorted()
        let middle = sorted.count / 2
        median =
            sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        let trim = Self.trim(sorted.count)
        low = sorted[trim]
        high = sorted[sorted.count - 1 - trim]
    }

    init(median: Double, low: Double, high: Double) {
        self.median = median
        self.low = low
        self.high = high
    }

    /// How many samples lie outside the interval on either side.
    static func trim(_ count: Int) -> Int {
        // The probability of at most `trim` samples on one side, twice, stays at or below 5 %. By its
        // logarithm: of more than a thousand rounds the first is no number.
        var logarithm = -Double(count) * log(2)
        var cumulative = 0.0
        var trim = -1
        for successes in 0...count / 2 {
            cumulative += exp(logarithm)
            if 2 * cumulative > 0.05 { break }
            trim = successes
            logarithm += log(Double(count - successes) / Double(successes + 1))
        }
        return max(trim, 0)
    }
}
