public import Synchronization

// Each method is one load or one store of the whole word: the compiler can neither tear it nor
// fetch it a second time. Words are in the byte order of this machine; virtio's are little-endian.
extension HostMemory {
    /// Loads a word once, without ordering.
    ///
    /// - Precondition: the word lies inside the memory, at a multiple of its size.
    @inlinable @inline(__always)
    public func load<Word: SharedWord>(_: Word.Type = Word.self, at offset: Int) -> Word {
        // SAFETY: `word` checked bounds and alignment.
        unsafe Word._load(word(at: offset), acquiring: false)
    }

    /// Loads a word once; what the peer stored before its release of the word is visible after.
    ///
    /// - Precondition: the word lies inside the memory, at a multiple of its size.
    @inlinable @inline(__always)
    public func loadAcquiring<Word: SharedWord>(_: Word.Type = Word.self, at offset: Int) -> Word {
        // SAFETY: `word` checked bounds and alignment.
        unsafe Word._load(word(at: offset), acquiring: true)
    }

    /// Stores a word once, without ordering.
    ///
    /// - Precondition: the word lies inside the memory, at a multiple of its size.
    @inlinable @inline(__always)
    public func store<Word: SharedWord>(_ value: Word, at offset: Int) {
        // SAFETY: `word` checked bounds and alignment.
        unsafe Word._store(value, word(at: offset), releasing: false)
    }

    /// Stores a word once, after everything this thread stored before it.
    ///
    /// - Precondition: the word lies inside the memory, at a multiple of its size.
    @inlinable @inline(__always)
    public func storeReleasing<Word: SharedWord>(_ value: Word, at offset: Int) {
        // SAFETY: `word` checked bounds and alignment.
        unsafe Word._store(value, word(at: offset), releasing: true)
    }

    /// Sets bits of a byte, leaving those alone that others set at the same time.
    ///
    /// - Precondition: the byte lies inside the memory.
    @inlinable
    public func setBits(_ bits: UInt8, at offset: Int) {
        // SAFETY: `word` checked bounds. Releasing: who sees the bit sees what was written before.
        _ = unsafe word(UInt8.self, at: offset).pointee.bitwiseOr(bits, ordering: .releasing)
    }

    @inlinable @inline(__always)
    func word<Word: SharedWord>(
        _: Word.Type = Word.self, at offset: Int
    ) -> UnsafePointer<Atomic<Word>> {
        check(offset, MemoryLayout<Word>.size)
        precondition(offset % MemoryLayout<Word>.size == 0, "a word is aligned to its size")
        // SAFETY: the address is inside the mapping and aligned (mappings begin at a page), and an
        // `Atomic<Word>` has the layout of its `Word`.
        return unsafe UnsafePointer(
            UnsafeRawPointer(base + offset).assumingMemoryBound(to: Atomic<Word>.self))
    }
}
