import Glibc
public import Synchronization

extension HostRange {
    /// A range of no bytes, which lies nowhere.
    public static var empty: HostRange { HostRange(address: 0, byteCount: 0) }

    /// Loads a word once, without ordering.
    ///
    /// Unsafe: the caller keeps the memory that the range is of alive.
    ///
    /// - Precondition: the word lies inside the range, at an address that is a multiple of its size.
    @inlinable @inline(__always)
    @unsafe public func load<Word: SharedWord>(_: Word.Type = Word.self, at offset: Int) -> Word {
        let size = MemoryLayout<Word>.size
        precondition(
            offset >= 0 && offset <= byteCount &- size
                && (address &+ UInt64(truncatingIfNeeded: offset)) % UInt64(size) == 0,
            "a word lies inside the range, aligned to its size")
        // SAFETY: checked above; an `Atomic` has the layout of its word.
        return unsafe Word._load(
            (pointer + offset).assumingMemoryBound(to: Atomic<Word>.self), acquiring: false)
    }

    /// Stores a byte once, without ordering.
    ///
    /// Unsafe: the caller keeps the memory that the range is of alive.
    ///
    /// - Precondition: the byte lies inside the range.
    @inlinable @inline(__always)
    @unsafe public func store(_ byte: UInt8, at offset: Int = 0) {
        precondition(offset >= 0 && offset < byteCount, "the byte lies inside the range")
        // SAFETY: as above.
        unsafe UInt8._store(
            byte, (pointer + offset).assumingMemoryBound(to: Atomic<UInt8>.self), releasing: false)
    }

    /// Clears every byte.
    ///
    /// Unsafe: the caller keeps the memory that the range is of alive.
    @unsafe public func clear() {
        guard byteCount > 0 else { return }
        // SAFETY: the range was checked when it was made, and the caller keeps its memory alive.
        unsafe memset(pointer, 0, byteCount)
    }
}
