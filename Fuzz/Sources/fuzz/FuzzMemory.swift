import SharedMemory

extension HostMemory {
    /// Memory that all runs of a target share, cleared for each.
    static func forFuzzing(byteCount: Int) -> HostMemory {
        do {
            return try .window(byteCount: byteCount)
        } catch {
            fatalError("\(error)")
        }
    }

    func clear() {
        fill(at: 0, byteCount: byteCount, with: 0)
    }

    /// Stores what fits.
    func poke(_ bytes: [UInt8], at offset: Int) {
        guard offset < byteCount else { return }
        store(Array(bytes.prefix(byteCount - offset)).span, at: offset)
    }

    /// Stores a number, with its least significant byte first, at any offset.
    func poke(_ number: some FixedWidthInteger & UnsignedInteger, at offset: Int) {
        poke(
            (0..<number.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) },
            at: offset)
    }
}
