import Glibc
public import Synchronization

// Small pieces of guest memory at any address, for headers and status bytes: loaded or stored once,
// and private from then on.
extension MemoryMap {
    /// Loads 16 bytes, such as a request header, once.
    ///
    /// - Returns: the two words as they stand in memory; `nil` where a byte is outside the map, or
    ///   the bytes cross from one region into another.
    @inlinable
    public func loadPair(at address: GuestAddress) -> (UInt64, UInt64)? {
        guard let run = translate(GuestRange(address: address, byteCount: 16)) else { return nil }
        guard run.hostRange.address % 8 == 0 else { return unsafe loadUnaligned(run.hostRange) }
        // SAFETY: the map translated the 16 bytes and keeps them alive; they are aligned, and an
        // `Atomic` has the layout of its word.
        let words = unsafe run.hostRange.pointer.assumingMemoryBound(to: Atomic<UInt64>.self)
        return unsafe (
            UInt64._load(words, acquiring: false), UInt64._load(words + 1, acquiring: false)
        )
    }

    /// Stores one byte, such as a status.
    ///
    /// - Returns: false where it is outside the map.
    @inlinable
    public func store(_ byte: UInt8, at address: GuestAddress) -> Bool {
        guard let run = translatePrefix(of: GuestRange(address: address, byteCount: 1)) else {
            return false
        }
        // SAFETY: as above.
        unsafe UInt8._store(
            byte, run.hostRange.pointer.assumingMemoryBound(to: Atomic<UInt8>.self),
            releasing: false)
        return true
    }

    /// Not inlined: a copy that the compiler could see through it might make twice.
    ///
    /// - Parameter range: 16 bytes of a region of the map.
    @usableFromInline @inline(never)
    @unsafe func loadUnaligned(_ range: HostRange) -> (UInt64, UInt64) {
        var words: (UInt64, UInt64) = (0, 0)
        // SAFETY: the caller's range has 16 bytes, and `words` is a local of as many.
        unsafe memcpy(&words, range.pointer, 16)
        return words
    }
}
