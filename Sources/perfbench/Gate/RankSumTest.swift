import Glibc

/// The Wilcoxon rank-sum test (Mann-Whitney U): whether two sets of numbers lie at the same place.
///
/// It is the permutation test that deals all numbers out anew, with the sum of the ranks of the first set
/// as its statistic: exact up to ``exactCountMax`` numbers, with equal ones sharing their mean rank; by the
/// normal distribution, corrected for ties, above. H. B. Mann and D. R. Whitney, "On a Test of Whether one
/// of Two Random Variables is Stochastically Larger than the Other", 1947; Conover, 5.1.
enum RankSumTest {
    static let exactCountMax = 80

    /// The two-sided probability of sets as far apart as these, where there is no effect.
    static func probability(_ first: [Double], _ second: [Double]) -> Double {
        guard !first.isEmpty, !second.isEmpty else { return 1 }
        let ranks = Ranks.doubled(first + second)
        let sum = ranks.prefix(first.count).reduce(0, +)
        return ranks.count <= exactCountMax
            ? exact(ranks, count: first.count, sum: sum)
            : approximate(ranks, count: first.count, sum: sum)
    }

    /// The smallest probability that sets of so many numbers can come to.
    static func leastProbability(_ first: Int, _ second: Int) -> Double {
        // All of one below all of the other, either way round, of all choices.
        guard first > 0, second > 0 else { return 1 }
        return min(
            2 * (1...first).reduce(1.0) { $0 * Double($1) / Double(second + $1) }, 1)
    }

    private static func exact(_ ranks: [Int], count: Int, sum: Int) -> Double {
        let total = ranks.reduce(0, +)
        // ways[k][s]: how many choices of k ranks have the sum s.
        var ways = [[Double]](
            repeating: [Double](repeating: 0, count: total + 1), count: count + 1)
        ways[0][0] = 1
        for rank in ranks {
            for chosen in stride(from: count, to: 0, by: -1) {
                for sum in stride(from: total, through: rank, by: -1) {
                    ways[chosen][sum] += ways[chosen - 1][sum - rank]
                }
            }
        }
        let all = ways[count].reduce(0, +)
        let below = ways[count][...sum].reduce(0, +) / all
        let above = ways[count][sum...].reduce(0, +) / all
        return min(2 * min(below, above), 1)
    }

    private static func approximate(_ ranks: [Int], count: Int, sum: Int) -> Double {
        let (n, m) = (Double(count), Double(ranks.count - count))
        let all = n + m
        let mean = n * (all + 1) / 2
        let squares = ranks.reduce(0) { $0 + Double($1) * Double($1) / 4 }
        let variance =
            n * m / (all * (all - 1)) * (squares - all * (all + 1) * (all + 1) / 4)
        guard variance > 0 else { return 1 }
        return erfc((Double(sum) / 2 - mean).magnitude / (2 * variance).squareRoot())
    }
}
