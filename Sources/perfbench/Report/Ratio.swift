/// One quantity of a path over that of another, or by how much it is more, computed round by round.
struct Ratio: Codable {
    let workload: String
    var via: String?
    /// Of what `to` is, where that is another way to the storage.
    var toVia: String?
    let metric: String
    let of: String
    let to: String
    var op: PoolOperation?
    var rw: ReadWrite?
    var blockBytes: Int?
    var depth: Int?
    var frameBytes: Int?
    var burst: Int?
    var threads: Int?
    var occupancy: Double?
    let median: Double
    let low: Double
    let high: Double
    /// The value of every round, in order; results of earlier versions have none.
    var ofRounds: [Double]?
    /// By how much another run like this one would have to differ for the difference to be seen, in the
    /// ratio's own unit; absent where too few rounds were made to tell.
    var detectable: Double?

    /// The ratio for a person.
    var text: String { text(2) }

    func text(_ places: Int) -> String {
        "\(median.fixed(places)) [\(low.fixed(places)), \(high.fixed(places))]"
            + (detectable.map { " ±\($0.fixed(places))" } ?? "")
    }
}
