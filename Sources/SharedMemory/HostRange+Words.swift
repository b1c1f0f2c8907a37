public import Synchronization

// As those of `HostMemory`, where many words of one place are loaded and stored. Each is unsafe in one
// respect: a range does not keep its memory alive, so the caller does.
extension HostRange {
    /// Loads a word once, without ordering.
    ///
    /// - Precondition: the word lies inside the range, at an address that is a multiple of its size.
    @inlinable @inline(__always)
    @unsafe public func load<Word: SharedWord>(_: Word.Type = Word.self, at offset: Int) -> Word {
        // SAFETY: `word` checked bounds and alignment; the caller keeps the memory.
        unsafe Word._load(word(at: offset), acquiring: false)
    }

    /// Loads a word once; what the peer stored before its release of the word is visible after.
    ///
    /// - Precondition: as above.
    @inlinable @inline(__always)
    @unsafe public func loadAcquiring<Word: SharedWord>(
        _: Word.Type = Word.self, at offset: Int
    ) -> Word {
        // SAFETY: as above.
        unsafe Word._load(word(at: offset), acquiring: true)
    }

    /// Stores a word once, without ordering.
    ///
    /// - Precondition: as above.
    @inlinable @inline(__always)
    @unsafe public func store<Word: SharedWord>(_ value: Word, at offset: Int = 0) {
        // SAFETY: as above.
        unsafe Word._store(value, word(at: offset), releasing: false)
    }

    /// Stores a word once, after everything this thread stored before it.
    ///
    /// - Precondition: as above.
    @inlinable @inline(__always)
    @unsafe public func storeReleasing<Word: SharedWord>(_ value: Word, at offset: Int) {
        // SAFETY: as above.
        unsafe Word._store(value, word(at: offset), releasing: true)
    }

    @inlinable @inline(__always)
    @unsafe func word<Word: SharedWord>(
        _: Word.Type = Word.self, at offset: Int
    ) -> UnsafePointer<Atomic<Word>> {
        let size = MemoryLayout<Word>.size
        precondition(
            offset >= 0 && offset <= byteCount &- size
                && (address &+ UInt64(truncatingIfNeeded: offset)) % UInt64(size) == 0,
            "a word lies inside the range, aligned to its size")
        // SAFETY: checked above; an `Atomic` has the layout of its word.
        return unsafe UnsafePointer((pointer + offset).assumingMemoryBound(to: Atomic<Word>.self))
    }
}
