public import Virtqueue

/// A ring's index and a number about it.
public struct VringState: Hashable, Sendable {
    public var index: UInt32
    public var value: UInt32

    public init(index: UInt32, value: UInt32) {
        self.index = index
        self.value = value
    }
}

/// Where a ring is, in addresses of the frontend's process (`struct vhost_vring_addr`).
public struct VringAddresses: Hashable, Sendable {
    public var index: UInt32
    public var flags: UInt32
    public var descriptor: UInt64
    public var used: UInt64
    public var available: UInt64
    /// The guest-physical address of the used ring, for the log.
    public var log: UInt64

    public init(
        index: UInt32, flags: UInt32 = 0, descriptor: UInt64, used: UInt64, available: UInt64,
        log: UInt64 = 0
    ) {
        self.index = index
        self.flags = flags
        self.descriptor = descriptor
        self.used = used
        self.available = available
        self.log = log
    }

    /// Writes to the used ring are to be logged (`VHOST_VRING_F_LOG`).
    public static let logFlag: UInt32 = 1
}

/// A ring's index and whether a descriptor comes along for it.
public struct VringDescriptor: Hashable, Sendable {
    /// 0 to 255.
    public var index: UInt8
    /// Whether one does; where not, the side concerned polls, or does not want to be told.
    public var isAttached: Bool

    public init(index: UInt8, isAttached: Bool) {
        self.index = index
        self.isAttached = isAttached
    }
}

extension QueuePosition {
    /// A position as `SET_VRING_BASE` and `GET_VRING_BASE` have it: the available index in the lower
    /// half, and that of the used ring in the upper one for packed queues only.
    ///
    /// - Returns: `nil` where the upper half of a split queue's is not zero.
    public init?(vringBase: UInt32, isPacked: Bool) {
        let available = UInt16(truncatingIfNeeded: vringBase)
        let upper = UInt16(truncatingIfNeeded: vringBase >> 16)
        guard isPacked || upper == 0 else { return nil }
        self.init(available: available, used: isPacked ? upper : available)
    }

    /// The position as those messages have it.
    public func vringBase(isPacked: Bool) -> UInt32 {
        UInt32(available) | (isPacked ? UInt32(used) << 16 : 0)
    }
}
