import Glibc

extension HostRange {
    /// A range of no bytes, which lies nowhere.
    public static var empty: HostRange { HostRange(address: 0, byteCount: 0) }

    /// Clears every byte.
    ///
    /// Unsafe: the caller keeps the memory that the range is of alive.
    @unsafe public func clear() {
        guard byteCount > 0 else { return }
        // SAFETY: the range was checked when it was made, and the caller keeps its memory alive.
        unsafe memset(pointer, 0, byteCount)
    }
}
