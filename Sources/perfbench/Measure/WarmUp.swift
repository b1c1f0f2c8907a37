/// Tells a case's warm-up, which is discarded, from the rounds that count.
///
/// The first round is warm-up: memory, caches and clocks are what the round before left. Each round after
/// it is, too, while a path got faster by more than a tenth since the round before; but no more of them
/// than a quarter of the rounds that count. What is slower is noise, and no reason to wait. The rule looks
/// at successive rounds, as A. Georges et al., "Statistically Rigorous Java Performance Evaluation", 2007,
/// 4.1, have it. It favours the first round that counts, which is none that was a tenth faster than the one
/// before; no other is chosen.
struct WarmUp<Path: Hashable> {
    /// Rounds that were discarded.
    private(set) var roundCount = 0
    private let roundCountMax: Int
    private var isOver = false
    private var former: [Path: Double] = [:]

    /// By how much a path gets faster while it warms up.
    static var speedUp: Double { 0.1 }

    /// - Parameter countedRoundCount: how many rounds are to count.
    init(countedRoundCount: Int) {
        roundCountMax = 1 + countedRoundCount / 4
    }

    /// Looks at a round that has ended.
    ///
    /// - Parameter costs: what an operation took on each path.
    /// - Returns: whether it is of the warm-up.
    mutating func takes(_ costs: [Path: Double]) -> Bool {
        guard !isOver else { return false }
        defer { former = costs }
        let gotFaster = costs.contains { path, cost in
            former[path].map { cost < $0 * (1 - Self.speedUp) } ?? true
        }
        isOver = !gotFaster || roundCount == roundCountMax
        if !isOver { roundCount += 1 }
        return !isOver
    }
}
