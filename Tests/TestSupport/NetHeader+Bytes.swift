public import Virtqueue

extension NetHeader {
    public init(bytes: [UInt8]) {
        func word(_ part: ArraySlice<UInt8>) -> UInt64 {
            part.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        self.init(
            words: (word(bytes[0..<8]).littleEndian, UInt32(word(bytes[8..<12])).littleEndian))
    }

    /// As it stands in memory.
    public var bytes: [UInt8] {
        let (first, second) = (UInt64(littleEndian: words.0), UInt32(littleEndian: words.1))
        return (0..<8).map { UInt8(truncatingIfNeeded: first >> (8 * $0)) }
            + (0..<4).map { UInt8(truncatingIfNeeded: second >> (8 * $0)) }
    }
}
