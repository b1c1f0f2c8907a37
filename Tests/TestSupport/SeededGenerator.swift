/// SplitMix64: the same numbers for the same seed. Name the seed in every message of a failure.
public struct SeededGenerator: RandomNumberGenerator {
    public let seed: UInt64
    private var state: UInt64

    /// - Parameter seed: `nil` for a new one, the given one to repeat a failure.
    public init(seed: UInt64? = nil) {
        let seed = seed ?? UInt64.random(in: .min ... .max)
        self.seed = seed
        state = seed
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, nearly uniform and cheap in a debug build.
    public mutating func below(_ bound: Int) -> Int {
        Int(next() >> 1) % bound
    }

    /// Bytes that cannot be told in advance.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        // One draw and a walk: a draw for each byte is slow in a debug build.
        let start = next()
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var value = start | 1
            for index in 0..<count {
                value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                // SAFETY: `index` is below the capacity asked for.
                unsafe buffer[index] = UInt8(truncatingIfNeeded: value >> 56)
            }
            initialized = count
        }
    }
}
