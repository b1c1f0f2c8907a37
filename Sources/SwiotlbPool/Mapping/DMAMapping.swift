public import SharedMemory

/// One live mapping: a buffer of the driver, and the address by which the device reaches it.
///
/// It is given out by ``DMAMapper/map(_:_:_:)`` and must go back to
/// ``DMAMapper/unmap(_:usedByteCount:_:)`` of a mapper of the same pool: the type cannot be copied,
/// so using it twice does not compile, and dropping one traps in debug builds. It is a plain value
/// of private memory; nothing of it is in the window.
public struct DMAMapping: ~Copyable, Sendable {
    // Four words, so that it is handed over in registers.
    let bufferAddress: UInt64
    let deviceAddress: UInt64
    /// The length (32 bits), the first slot (24), whether the run is of the area of the mapper that
    /// made the mapping (1), whether it is of a list (1), the direction (2).
    private let shape: UInt64
    /// The state of the run while the mapping holds it; ``RunState/none`` for an identity mapping.
    let state: RunState

    @inline(__always)
    init(
        bufferAddress: UInt64, deviceAddress: UInt64, byteCount: Int, direction: DMADirection,
        state: RunState, firstSlot: Int, isCacheable: Bool, isList: Bool = false
    ) {
        self.bufferAddress = bufferAddress
        self.deviceAddress = deviceAddress
        self.state = state
        shape =
            UInt64(truncatingIfNeeded: byteCount) &<< 32
            | UInt64(truncatingIfNeeded: firstSlot) &<< 8
            | (isList ? 4 : 0) | (isCacheable ? 8 : 0) | UInt64(direction.rawValue)
    }

    static let byteCountMax = Int(UInt32.max)

    /// The length of the payload in bytes.
    public var byteCount: Int { Int(truncatingIfNeeded: shape &>> 32) }

    public var direction: DMADirection {
        // Three values are ever stored.
        DMADirection(rawValue: UInt8(truncatingIfNeeded: shape & 3)) ?? .bidirectional
    }

    /// The driver's buffer; of a list of buffers, an address of the first and the length of all.
    public var buffer: GuestRange {
        GuestRange(address: GuestAddress(bufferAddress), byteCount: byteCount)
    }

    /// The same bytes as the device sees them: what goes into a descriptor.
    public var deviceRange: GuestRange {
        GuestRange(address: GuestAddress(deviceAddress), byteCount: byteCount)
    }

    /// Whether a list of buffers was mapped.
    public var isList: Bool { shape & 4 != 0 }

    /// Whether the mapper that made the mapping may cache its run.
    var isCacheable: Bool { shape & 8 != 0 }

    var firstSlot: Int { Int(truncatingIfNeeded: shape &>> 8 & 0xff_ffff) }

    /// The slots of the pool that the mapping holds, pads included.
    var slots: SlotRun { SlotRun(first: firstSlot, count: state.count) }

    deinit {
        assertionFailure("a mapping was dropped without being unmapped: its slots are lost")
    }

    /// Ends the value without the complaint of `deinit`: the slots are the caller's now.
    @inline(__always)
    consuming func end() {
        discard self
    }
}
