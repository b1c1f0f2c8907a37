/// What copying the payload costs, and nothing else.
struct Floor: Codable {
    var rw: ReadWrite?
    var blockBytes: Int?
    var depth: Int?
    var frameBytes: Int?
    var burst: Int?
    let memcpyNs: Double
    let low: Double
    let high: Double
}
