extension Array {
    /// The elements in the order of a round: rotated by one from round to round, and reversed from one
    /// full rotation to the next.
    ///
    /// So each is as often first as any other, and a machine that slowly gets faster or slower favours
    /// none.
    func order(ofRound round: Int) -> [Element] {
        let shift = round % Swift.max(count, 1)
        let rotated = Array(self[shift...] + self[..<shift])
        return round / Swift.max(count, 1) % 2 == 0 ? rotated : rotated.reversed()
    }
}
