import TestSupport

/// One step of a random sequence, as plain numbers.
///
/// What the numbers mean depends on what is live when the step is performed first ("the 7th mapping,
/// modulo how many there are"). From then on the step remembers its target by the step that made it,
/// so that it does the same whatever is removed from the sequence, or nothing.
struct ModelOperation: Sendable {
    enum Kind: UInt8, CaseIterable, Sendable {
        case map
        case unmap
        case syncForDevice
        case syncForCPU
        case deviceWrite
        case scribble
        case driverWrite
        case mapList
        case park
        case redeem
        case redeemStale
        case quarantine
        case quarantineToken
        case release
        case quarantineParked
        case releaseQuarantine
        case allocateCoherent
        case freeCoherent
        case addExtent
        case drain
        case cancelDrain
        case reserve
        case cancelReservation
        case remakeMapper
        case resetHighWater

        /// How often the step comes up.
        var weight: Int {
            switch self {
            case .map: 280
            case .unmap: 240
            case .syncForDevice, .syncForCPU: 70
            case .deviceWrite: 90
            case .driverWrite: 50
            case .mapList: 15
            case .park, .redeem: 35
            case .redeemStale, .quarantine, .release, .reserve: 12
            case .scribble, .quarantineToken, .allocateCoherent, .freeCoherent: 6
            case .cancelReservation: 5
            case .addExtent, .drain, .cancelDrain: 3
            case .quarantineParked, .releaseQuarantine, .remakeMapper, .resetHighWater: 1
            }
        }
    }

    var kind: Kind
    /// Which mapper acts.
    var mapper: Int
    var a: Int
    var b: Int
    var c: Int
    /// Its place in the sequence as it was made.
    var number: Int
    /// The origin of what it is about.
    var target: Int?

    init(
        _ kind: Kind, _ mapper: Int, _ a: Int, _ b: Int, _ c: Int, number: Int, target: Int? = nil
    ) {
        self.kind = kind
        self.mapper = mapper
        self.a = a
        self.b = b
        self.c = c
        self.number = number
        self.target = target
    }

    private static let lottery = Kind.allCases.flatMap { [Kind](repeating: $0, count: $0.weight) }

    static func random(number: Int, _ generator: inout SeededGenerator) -> ModelOperation {
        let bits = generator.next()
        return ModelOperation(
            lottery[generator.below(lottery.count)], Int(bits & 0xff), Int(bits >> 8 & 0xffff),
            generator.below(1 << 30), generator.below(1 << 30), number: number)
    }
}

extension ModelOperation: CustomStringConvertible {
    /// As it is written in Swift, to be pasted into a test.
    var description: String {
        ".init(.\(kind), \(mapper), \(a), \(b), \(c), number: \(number)"
            + (target.map { ", target: \($0))" } ?? ")")
    }
}
