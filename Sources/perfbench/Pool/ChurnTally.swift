/// How often a pool was asked for a mapping, and how often it refused.
struct ChurnTally: Sendable {
    var mapCount = 0
    var refusalCount = 0

    static func += (left: inout ChurnTally, right: ChurnTally) {
        left.mapCount += right.mapCount
        left.refusalCount += right.refusalCount
    }
}
