/// What one line or one row of bars shows, and how it looks.
struct Series {
    struct Point {
        let x: Double
        let y: Double
        /// The interval around `y`, where there is one.
        var low: Double?
        var high: Double?
    }

    let name: String
    let look: Look
    let points: [Point]

    /// Colour, point and dash: each alone tells lines apart.
    struct Look {
        let ink: Ink
        /// gnuplot's number of a kind of point.
        let point: Int
        /// gnuplot's number of a kind of dash; 1 is none.
        let dash: Int

        /// The looks of lines that have no meaning of their own.
        static let all = [
            Look(ink: .vermilion, point: 7, dash: 1), Look(ink: .blue, point: 5, dash: 2),
            Look(ink: .green, point: 9, dash: 3), Look(ink: .purple, point: 13, dash: 4),
            Look(ink: .amber, point: 6, dash: 5), Look(ink: .sky, point: 4, dash: 2),
            Look(ink: .grey, point: 8, dash: 3),
        ]

        static func number(_ index: Int) -> Look { all[index % all.count] }
    }

    /// What `plot` is told of the line.
    var style: String {
        "lw 2 dt \(look.dash) pt \(look.point) ps 0.6 lc rgb \"\(look.ink.light)\""
    }
}

extension BlockPath {
    var look: Series.Look {
        switch self {
        case .direct: Series.Look(ink: .blue, point: 5, dash: 1)
        case .directFixed: Series.Look(ink: .sky, point: 4, dash: 2)
        case .bounce: Series.Look(ink: .vermilion, point: 7, dash: 1)
        case .bounceUnregistered: Series.Look(ink: .amber, point: 6, dash: 2)
        }
    }
}

extension PoolPath {
    var look: Series.Look {
        switch self {
        case .pool: Series.Look(ink: .vermilion, point: 7, dash: 1)
        case .cTwin: Series.Look(ink: .blue, point: 5, dash: 2)
        case .linuxModel: Series.Look(ink: .green, point: 9, dash: 3)
        case .memcpy, .loop: Series.Look(ink: .grey, point: 8, dash: 4)
        case .poolPrefill: Series.Look(ink: .amber, point: 6, dash: 2)
        case .poolScrubOnFree: Series.Look(ink: .purple, point: 13, dash: 4)
        case .poolScrubOnOwnerChange: Series.Look(ink: .purple, point: 12, dash: 5)
        case .poolQuota: Series.Look(ink: .sky, point: 4, dash: 2)
        }
    }
}
