/// A region of guest memory: where it is for the guest, for the frontend, and in the descriptor that
/// comes along.
public struct RegionDescription: Hashable, Sendable {
    public var guestAddress: UInt64
    public var byteCount: UInt64
    /// Where the region begins in the frontend's process. Rings are named by such addresses.
    public var userAddress: UInt64
    /// Where the region begins in the descriptor, in bytes; not always at a page.
    public var mmapOffset: UInt64

    public init(guestAddress: UInt64, byteCount: UInt64, userAddress: UInt64, mmapOffset: UInt64) {
        self.guestAddress = guestAddress
        self.byteCount = byteCount
        self.userAddress = userAddress
        self.mmapOffset = mmapOffset
    }

    static let byteCount = 32
    /// The most regions of one `SET_MEM_TABLE`, for it takes a descriptor along for each.
    public static let tableCountMax = 8
}

/// Where the log of written pages is in the descriptor that comes along.
public struct LogDescription: Hashable, Sendable {
    public var byteCount: UInt64
    public var mmapOffset: UInt64

    public init(byteCount: UInt64, mmapOffset: UInt64) {
        self.byteCount = byteCount
        self.mmapOffset = mmapOffset
    }
}

/// The memory in which a backend notes what is under way: where it is in the descriptor that comes
/// along, and for which queues.
public struct InflightDescription: Hashable, Sendable {
    public var byteCount: UInt64
    public var mmapOffset: UInt64
    public var queueCount: UInt16
    public var queueSize: UInt16

    public init(byteCount: UInt64, mmapOffset: UInt64, queueCount: UInt16, queueSize: UInt16) {
        self.byteCount = byteCount
        self.mmapOffset = mmapOffset
        self.queueCount = queueCount
        self.queueSize = queueSize
    }
}

/// A part of the configuration space, to be read or written.
public struct ConfigurationPart: Hashable, Sendable {
    public var offset: UInt32
    /// 0: the driver's doing; 1: the frontend restores it after a migration.
    public var flags: UInt32
    /// The contents; of a request to read, as many bytes of no meaning.
    public var bytes: [UInt8]

    public init(offset: UInt32, flags: UInt32 = 0, bytes: [UInt8]) {
        self.offset = offset
        self.flags = flags
        self.bytes = bytes
    }

    /// The most bytes of the configuration space that can be reached.
    public static let byteCountMax = 256
    static let headerByteCount = 12
    /// ``flags`` of a part that is restored after a migration.
    static let migrationFlag: UInt32 = 1
}
