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

    /// The ratio for a person.
    var text: String { "\(median.fixed(2)) [\(low.fixed(2)), \(high.fixed(2))]" }
}
