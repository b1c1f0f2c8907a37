// Headers as arrays: for set-up and tests, not for a data path.
extension NetHeader {
    /// From the bytes of a header as it stands in memory; what is missing is zero.
    package init(bytes: some Collection<UInt8>) {
        func word(_ part: some Collection<UInt8>) -> UInt64 {
            part.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        self.init(
            words: (
                word(bytes.prefix(8)).littleEndian,
                UInt32(word(bytes.dropFirst(8).prefix(4))).littleEndian
            ))
    }

    /// As it stands in memory.
    package var bytes: [UInt8] {
        let (first, second) = (UInt64(littleEndian: words.0), UInt32(littleEndian: words.1))
        return (0..<8).map { UInt8(truncatingIfNeeded: first >> (8 * $0)) }
            + (0..<4).map { UInt8(truncatingIfNeeded: second >> (8 * $0)) }
    }
}
