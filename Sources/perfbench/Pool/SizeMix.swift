/// The sizes of a churn's mappings, and of those that fill a pool to an occupancy.
enum SizeMix {
    /// Sizes with their weights in sixteenths.
    static let weights: [(byteCount: Int, weight: Int)] = [
        (4096, 8), (16384, 4), (65536, 2), (131072, 1), (262144, 1),
    ]

    /// Every size as often as its weight says: a table of sixteen, for a draw of four bits.
    static let table: [Int] = weights.flatMap { Array(repeating: $0.byteCount, count: $0.weight) }

    static let meanByteCount = table.reduce(0, +) / table.count

    /// For a person.
    static let description = weights.map { "\($0.weight)/16 \(ByteSize($0.byteCount))" }
        .joined(separator: ", ")
}
