import SharedMemory

/// A descriptor (virtio 1.2, 2.7.5 and 2.8.13), taken out of shared memory in two loads or put there
/// in two stores, and checked where it is used.
struct Descriptor {
    let address: UInt64
    /// The other fields: the length in bits 0 to 31. In a split queue the flags in bits 32 to 47 and
    /// the next descriptor in bits 48 to 63, in a packed one the buffer's id and the flags.
    let word: UInt64

    @inline(__always)
    init(address: UInt64, word: UInt64) {
        self.address = address
        self.word = word
    }

    /// A descriptor of a split queue.
    ///
    /// - Precondition: the length of the range fits into 32 bits.
    @inline(__always)
    init(_ range: GuestRange, flags: UInt16, next: UInt16) {
        address = range.address.rawValue
        word = UInt64(UInt32(range.byteCount)) | UInt64(flags) << 32 | UInt64(next) << 48
    }

    /// A descriptor of a packed queue.
    ///
    /// - Precondition: the length of the range fits into 32 bits.
    @inline(__always)
    init(_ range: GuestRange, id: UInt16, flags: UInt16) {
        address = range.address.rawValue
        word = UInt64(UInt32(range.byteCount)) | UInt64(id) << 32 | UInt64(flags) << 48
    }

    @inline(__always) var byteCount: Int { Int(UInt32(truncatingIfNeeded: word)) }
    @inline(__always) var range: GuestRange {
        GuestRange(address: GuestAddress(address), byteCount: byteCount)
    }
    @inline(__always) var splitFlags: UInt16 { UInt16(truncatingIfNeeded: word >> 32) }
    @inline(__always) var splitNext: UInt16 { UInt16(truncatingIfNeeded: word >> 48) }
    @inline(__always) var packedID: UInt16 { UInt16(truncatingIfNeeded: word >> 32) }
    @inline(__always) var packedFlags: UInt16 { UInt16(truncatingIfNeeded: word >> 48) }

    /// The length of a descriptor in bytes.
    static let byteCount = 16

    /// The chain goes on (`VIRTQ_DESC_F_NEXT`).
    static let next: UInt16 = 1
    /// The device writes what the descriptor is of (`VIRTQ_DESC_F_WRITE`).
    static let write: UInt16 = 2
    /// The descriptor is of a table of descriptors (`VIRTQ_DESC_F_INDIRECT`).
    static let indirect: UInt16 = 4
    /// Compared with the wrap counters these say whose a packed descriptor is
    /// (`VIRTQ_DESC_F_AVAIL`, `VIRTQ_DESC_F_USED`).
    static let available: UInt16 = 1 << 7
    static let used: UInt16 = 1 << 15
}

/// Ring flags of a split queue: the other side need not be notified (`VIRTQ_AVAIL_F_NO_INTERRUPT`,
/// `VIRTQ_USED_F_NO_NOTIFY`).
let splitNoNotification: UInt16 = 1

/// What a packed queue's event suppression structure asks for (virtio 1.2, 2.8.14).
enum PackedEventFlags {
    static let enable: UInt32 = 0
    static let disable: UInt32 = 1
    static let descriptor: UInt32 = 2
}

/// Whether an index that went from `old` to `new` has passed `event` (`vring_need_event`).
@inline(__always)
func hasPassed(event: UInt16, new: UInt16, old: UInt16) -> Bool {
    new &- event &- 1 < new &- old
}

/// A position in a packed ring: an index, and a counter of one bit that changes with every lap.
struct PackedPosition: Equatable {
    var index: UInt16
    var wrap: Bool

    /// From the form in which positions are written down.
    @inline(__always)
    init(rawValue: UInt16) {
        index = rawValue & 0x7fff
        wrap = rawValue & 0x8000 != 0
    }

    @inline(__always) var rawValue: UInt16 { index | (wrap ? 0x8000 : 0) }

    /// The flags of a descriptor that was made available in this lap.
    @inline(__always) var availableFlags: UInt16 {
        wrap ? Descriptor.available : Descriptor.used
    }
    /// The flags of a descriptor that was used in this lap.
    @inline(__always) var usedFlags: UInt16 {
        wrap ? Descriptor.available | Descriptor.used : 0
    }

    /// - Parameter count: at most `size`.
    @inline(__always)
    mutating func advance(by count: Int, size: Int) {
        var index = Int(self.index) &+ count
        if index >= size {
            index &-= size
            wrap.toggle()
        }
        self.index = UInt16(truncatingIfNeeded: index)
    }

    /// - Parameter count: at most `size`.
    mutating func retreat(by count: Int, size: Int) {
        var index = Int(self.index) &- count
        if index < 0 {
            index &+= size
            wrap.toggle()
        }
        self.index = UInt16(truncatingIfNeeded: index)
    }

    /// Whether a position that has come here from `count` descriptors ago has passed the place that
    /// the other side's event suppression structure names.
    @inline(__always)
    func hasPassed(eventStructure word: UInt32, count: Int, size: Int) -> Bool {
        let event = PackedPosition(rawValue: UInt16(truncatingIfNeeded: word))
        // Counted from the start of this lap; a place in the lap before is negative.
        let distance = event.wrap == wrap ? event.index : event.index &- UInt16(size)
        return Virtqueue.hasPassed(
            event: distance, new: index, old: index &- UInt16(truncatingIfNeeded: count))
    }
}
