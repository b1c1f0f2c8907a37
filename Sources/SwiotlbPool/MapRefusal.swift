/// Why a buffer was not mapped. None of these changes anything in the pool.
public enum MapRefusal: Error, Equatable, Sendable {
    /// No pool of this geometry can ever map so many bytes at once: split the buffer.
    case tooLarge(maximumByteCount: Int)
    /// A byte of the buffer is outside the driver's private memory.
    case outsidePrivateMemory
    /// Fewer slots are free than the buffer needs. An ordinary event: hold the request back and try
    /// again when a mapping was unmapped, or after a moment where other threads map too: a claim
    /// of theirs that did not succeed may have been in the way.
    case exhausted(freeSlotCount: Int)
    /// Enough slots are free, but no run of them is long enough, or none where the alignment wants
    /// it. As ordinary as ``exhausted(freeSlotCount:)``.
    case fragmented(longestFreeRunSlotCount: Int)

    /// Whether the same buffer can be mapped once other mappings are gone.
    public var isTemporary: Bool {
        switch self {
        case .tooLarge, .outsidePrivateMemory: false
        case .exhausted, .fragmented: true
        }
    }
}
