/// The Wilcoxon signed-rank test: whether paired differences lie around zero.
///
/// It is the permutation test that gives every difference either sign, with the sum of the ranks of the
/// positive ones as its statistic: exact for every number of pairs, assuming only that without an effect a
/// difference is as likely as its opposite; one wild round weighs no more than its rank. Zeroes are left
/// out; equal magnitudes share their mean rank, and the distribution is that of the ranks as they are.
/// F. Wilcoxon, "Individual Comparisons by Ranking Methods", 1945; W. J. Conover, "Practical
/// Nonparametric Statistics", 5.7.
enum SignedRankTest {
    /// The two-sided probability of differences as one-sided as these, where there is no effect.
    ///
    /// - Complexity: cubic in the number of differences.
    static func probability(_ differences: [Double]) -> Double {
        let values = differences.filter { $0 != 0 }
        guard !values.isEmpty else { return 1 }
        let ranks = Ranks.doubled(values.map(\.magnitude))
        var positive = 0
        for (value, rank) in zip(values, ranks) where value > 0 { positive += rank }
        let total = ranks.reduce(0, +)
        // How likely each sum of ranks is, with every rank in it or not at even odds.
        var likelihood = [Double](repeating: 0, count: total + 1)
        likelihood[0] = 1
        var reach = 0
        for rank in ranks {
            reach += rank
            for sum in stride(from: reach, through: 0, by: -1) {
                likelihood[sum] = (likelihood[sum] + (sum >= rank ? likelihood[sum - rank] : 0)) / 2
            }
        }
        let extreme = min(positive, total - positive)
        return min(2 * likelihood[...extreme].reduce(0, +), 1)
    }

    /// The smallest probability that so many pairs can come to.
    static func leastProbability(pairCount: Int) -> Double {
        probability((0..<pairCount).map { Double($0 + 1) })
    }
}

/// Ranks of numbers, the smallest first.
enum Ranks {
    /// Twice the rank of each number, which is whole also where equal ones share their mean rank.
    static func doubled(_ values: [Double]) -> [Int] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Int](repeating: 0, count: values.count)
        var begin = 0
        while begin < order.count {
            var end = begin + 1
            while end < order.count, values[order[end]] == values[order[begin]] { end += 1 }
            for place in begin..<end { ranks[order[place]] = begin + end + 1 }
            begin = end
        }
        return ranks
    }
}
