public import SharedMemory

/// One live mapping: a buffer of the driver, and the address by which the device reaches it.
///
/// It is given out by ``DMAMapper/map(_:_:)`` and must go back to
/// ``DMAMapper/unmap(_:usedByteCount:)`` of a mapper of the same pool: the type cannot be copied,
/// so using it twice does not compile, and dropping one traps in debug builds. It is a plain value
/// of private memory; nothing of it is in the window.
public struct DMAMapping: ~Copyable, Sendable {
    /// The driver's buffer.
    public let buffer: GuestRange
    /// The same bytes as the device sees them: what goes into a descriptor.
    public let deviceRange: GuestRange
    public let direction: DMADirection

    /// The slots of the pool that the mapping holds, pads included; none for an identity mapping.
    let slots: SlotRun
    /// The pool that the slots are of.
    let pool: ObjectIdentifier?

    deinit {
        assertionFailure("a mapping was dropped without being unmapped: its slots are lost")
    }

    /// Ends the value without the complaint of `deinit`: the slots are the caller's now.
    consuming func end() -> SlotRun {
        let slots = self.slots
        discard self
        return slots
    }
}

/// A run of adjacent slots of a pool.
struct SlotRun: Equatable, Sendable {
    var first: Int
    var count: Int

    static let none = SlotRun(first: 0, count: 0)
}
