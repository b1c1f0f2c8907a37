import SharedMemory

extension InflightRegion {
    // Every store is a release: a process can be killed between any two, and its successor must
    // find them in this order.

    @inline(__always)
    func load<Word: SharedWord>(_: Word.Type = Word.self, at position: Int) -> Word {
        memory.load(Word.self, at: offset &+ position)
    }

    @inline(__always)
    func store<Word: SharedWord>(_ value: Word, at position: Int) {
        memory.storeReleasing(value, at: offset &+ position)
    }

    /// Where both formats have their features, a word of 64 bits: none is known.
    static let featuresOffset = 0
    /// Where both formats have their version, and how many rows there are; words of 16 bits.
    static let versionOffset = 8
    static let rowCountOffset = 10
    /// The version that this package writes and understands.
    static let version: UInt16 = 1

    /// Whether a device has used the region before.
    ///
    /// - Throws: where it is too small for the queue or laid out for the other format, or another
    ///   kind of device has used it.
    func isUsed(bySize size: Int, isPacked: Bool) throws(QueueFault) -> Bool {
        guard size <= queueSize, isPacked == self.isPacked else { throw .invalidInflightRegion }
        let version = load(UInt16.self, at: Self.versionOffset)
        guard version != 0 else { return false }
        guard version == Self.version, load(UInt64.self, at: Self.featuresOffset) == 0,
            Int(load(UInt16.self, at: Self.rowCountOffset)) == queueSize
        else { throw .invalidInflightRegion }
        return true
    }

    /// Orders rows by the counters that they were taken with.
    static func inOrder(_ rows: [(row: UInt16, counter: UInt64)]) -> [UInt16] {
        rows.sorted { $0.counter < $1.counter }.map(\.row)
    }
}
