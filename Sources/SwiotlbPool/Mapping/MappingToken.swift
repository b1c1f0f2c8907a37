/// A mapping as 64 bits that may leave the driver's hands: for the user data of a ring, say.
///
/// Made by ``BounceMapper/park(_:)``, given back to ``BounceMapper/redeem(_:)``. It names a slot, how
/// often that slot was mapped, and the pool; all three are checked, so a token that was redeemed before,
/// or is of an earlier mapping of the slot or of another pool, is refused without effect. It is no
/// secret: a peer can invent the token of a mapping that is parked, and so end it early. Whose
/// completions a ring may bring is the driver's to check, and one pool is for devices that trust each
/// other (``BouncePool``). A generation repeats after 2^32 mappings of one slot, and the number of a pool
/// after 255 pools.
public struct MappingToken: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    init(slot: Int, generation: UInt32, pool: UInt8) {
        rawValue = UInt64(generation) << 32 | UInt64(pool) << 24 | UInt64(slot)
    }

    var slot: Int { Int(rawValue & 0xff_ffff) }
    var pool: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 24) }
    var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
}

/// Why a token was refused. Nothing has changed then.
public enum TokenFault: Error, Hashable, Sendable {
    /// The token is of another pool.
    case otherPool
    /// No slot of the pool is meant.
    case outOfRange
    /// The mapping was redeemed or ended before: a doubled or replayed completion.
    case stale
    /// The mapping is in quarantine: a completion that comes too late. Tell
    /// ``BounceMapper/release(quarantined:)`` that the device is done with it.
    case quarantined
}
