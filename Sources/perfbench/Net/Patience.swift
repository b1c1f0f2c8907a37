/// How long nothing may happen before a measurement is given up.
struct Patience {
    /// When the wait began.
    private var begin: UInt64 = 0

    static let seconds = 10

    /// - Parameter isFirst: whether a wait begins.
    mutating func isOver(isFirst: Bool) -> Bool {
        let now = monotonicNanoseconds()
        if isFirst { begin = now }
        return now - begin > UInt64(Self.seconds) * 1_000_000_000
    }
}
