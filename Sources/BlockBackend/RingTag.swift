/// What an operation of an engine's ring is for: the tag that it is prepared with.
///
/// The upper half is the purpose, the lower half says which one of that purpose.
struct RingTag: Equatable {
    enum Purpose: UInt32 {
        /// A request, by its row.
        case request = 0
        /// The read of the event by which the gate lets waiting requests pass.
        case gate = 1
        /// The read of an event that the engine's thread is woken by, by its ``EngineWake``.
        case wake = 2
        /// The cancellation of one.
        case cancellation = 3
    }

    let rawValue: UInt64

    @inline(__always)
    init(_ purpose: Purpose, index: Int = 0) {
        rawValue = UInt64(purpose.rawValue) << 32 | UInt64(UInt32(index))
    }

    /// - Precondition: it comes from a completion of the engine's ring.
    @inline(__always)
    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    @inline(__always)
    var purpose: Purpose {
        guard let purpose = Purpose(rawValue: UInt32(truncatingIfNeeded: rawValue >> 32)) else {
            preconditionFailure("the kernel returns the tags that it was given")
        }
        return purpose
    }

    @inline(__always)
    var index: Int { Int(UInt32(truncatingIfNeeded: rawValue)) }
}
