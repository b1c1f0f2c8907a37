/// Why a buffer was not mapped. None of these changes anything in the pool, but for a count.
public enum MapRefusal: Error, Equatable, Sendable {
    /// The buffer, or the list of buffers, has no bytes.
    case empty
    /// No pool of this geometry can ever map so many bytes at once: split the buffer.
    case tooLarge(maximumByteCount: Int)
    /// A byte of the buffer is outside the driver's private memory.
    case outsidePrivateMemory
    /// The mapper's ``DMAConstraints`` leave no room for a buffer, wherever it may lie, in this
    /// geometry. (Linux maps those that happen to fit.)
    case alignmentImpossible
    /// The owner would have more slots than its quota.
    case quotaReached(quotaSlotCount: Int, usedSlotCount: Int)
    /// Fewer slots are free than the buffer needs. An ordinary event: hold the request back and try
    /// again when a mapping was unmapped, or wait (``BouncePool/reserve(_:deadline:_:)``). Where
    /// other threads map too, a claim of theirs that did not succeed may have been in the way.
    case exhausted(freeSlotCount: Int)
    /// Enough slots are free, but no run of them is long enough, or none where the alignment wants
    /// it. As ordinary as ``exhausted(freeSlotCount:)``. Told is the longest run within one segment.
    case fragmented(longestFreeRunSlotCount: Int)
    /// Others wait for slots and come first.
    case othersWait

    /// Whether the same buffer can be mapped once other mappings are gone.
    public var isTemporary: Bool {
        switch self {
        case .empty, .tooLarge, .outsidePrivateMemory, .alignmentImpossible: false
        case .quotaReached, .exhausted, .fragmented, .othersWait: true
        }
    }

    /// A refusal without its figures, to count it by.
    public enum Reason: Int, CaseIterable, Sendable {
        case empty
        case tooLarge
        case outsidePrivateMemory
        case alignmentImpossible
        case quotaReached
        case exhausted
        case fragmented
        case othersWait
    }

    public var reason: Reason {
        switch self {
        case .empty: .empty
        case .tooLarge: .tooLarge
        case .outsidePrivateMemory: .outsidePrivateMemory
        case .alignmentImpossible: .alignmentImpossible
        case .quotaReached: .quotaReached
        case .exhausted: .exhausted
        case .fragmented: .fragmented
        case .othersWait: .othersWait
        }
    }
}

extension MapRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .empty: "a buffer has at least one byte"
        case .tooLarge(let maximum): "a mapping has at most \(maximum) bytes"
        case .outsidePrivateMemory: "the buffer is not inside the driver's memory"
        case .alignmentImpossible: "no buffer can be aligned so in this pool"
        case .quotaReached(let quota, let used):
            "the owner has \(used) of its \(quota) slots in use"
        case .exhausted(let free): "the pool has \(free) free slots"
        case .fragmented(let longest):
            "no more than \(longest) free slots of a segment are in a row"
        case .othersWait: "others wait for slots"
        }
    }
}
