public import CCopy

// What a network's frames need: they begin at any address, and are moved from one memory to another.
//
// Each of these is unsafe in one respect: a range does not keep its memory alive, so the caller does. A
// peer that writes the same bytes meanwhile can tear them, nothing else.
extension HostRange {
    /// Loads 12 bytes at any address, each once: the first eight and the last four, as they stand in
    /// memory.
    ///
    /// - Precondition: the range has as many.
    @inlinable @inline(__always)
    @unsafe public func loadTwelve() -> (UInt64, UInt32) {
        precondition(byteCount >= 12, "the range has twelve bytes")
        // SAFETY: checked above; the caller keeps the memory.
        return unsafe (ccopy_load64(pointer), ccopy_load32(pointer + 8))
    }

    /// Stores 12 bytes at any address.
    ///
    /// - Precondition: the range has as many.
    @inlinable @inline(__always)
    @unsafe public func storeTwelve(_ words: (UInt64, UInt32)) {
        precondition(byteCount >= 12, "the range has twelve bytes")
        // SAFETY: as above.
        unsafe ccopy_store64(pointer, words.0)
        unsafe ccopy_store32(pointer + 8, words.1)
    }

    /// Copies the first bytes of another range to the start of this one.
    ///
    /// - Precondition: both have as many, and do not overlap.
    @inlinable @inline(__always)
    @unsafe public func copy(from source: HostRange, byteCount count: Int) {
        precondition(
            count >= 0 && count <= byteCount && count <= source.byteCount,
            "both ranges have as many bytes")
        guard count > 0 else { return }
        // SAFETY: checked above; the caller keeps both memories.
        unsafe memcpy(pointer, source.pointer, count)
    }

    /// Asks for the first two cache lines, which are to be read soon: another processor may have written
    /// them.
    ///
    /// Not unsafe: memory that is gone is not asked for.
    @inlinable @inline(__always)
    public func prefetch() {
        // SAFETY: a prefetch accesses nothing.
        unsafe ccopy_prefetch(pointer)
        unsafe ccopy_prefetch(pointer + 64)
    }

    /// The same for lines that are to be written, and that another processor may have read.
    @inlinable @inline(__always)
    public func prefetchForWriting() {
        // SAFETY: as above.
        unsafe ccopy_prefetch_for_write(pointer)
        unsafe ccopy_prefetch_for_write(pointer + 64)
    }

    /// Reads every byte: the sum of all as words of 64 bits, the last one filled up with zeroes.
    @inlinable @inline(__always)
    @unsafe public func sum() -> UInt64 {
        guard byteCount > 0 else { return 0 }
        // SAFETY: the range was checked when it was made; the caller keeps the memory.
        return unsafe ccopy_sum(pointer, byteCount)
    }
}
