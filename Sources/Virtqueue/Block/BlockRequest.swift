/// What a block request asks for (`VIRTIO_BLK_T_*`).
public enum BlockOperation: Hashable, Sendable {
    /// Fill the payload from the storage (`VIRTIO_BLK_T_IN`).
    case read
    /// Put the payload onto the storage (`VIRTIO_BLK_T_OUT`).
    case write
    /// Make every write that has completed durable (`VIRTIO_BLK_T_FLUSH`).
    case flush
    /// Give up the contents of a range (`VIRTIO_BLK_T_DISCARD`): reads of it may return anything.
    case discard(sectorCount: UInt64)
    /// Make a range read as zeroes (`VIRTIO_BLK_T_WRITE_ZEROES`), giving up its space only where
    /// the request allows it.
    case writeZeroes(sectorCount: UInt64, mayUnmap: Bool)
}

/// How a block request ended (`VIRTIO_BLK_S_*`): the value of the status byte.
public enum BlockStatus: UInt8, Sendable {
    case ok = 0
    case ioError = 1
    case unsupported = 2
}

/// The size of a sector in bytes (virtio 1.2, 5.2.4): the unit of every position, whatever the
/// storage.
public let sectorByteCount = 512

/// The first part of every request (`struct virtio_blk_req`, virtio 1.2, 5.2.6), in private memory.
public struct BlockHeader: Equatable, Sendable {
    /// One of the constants below, or anything else.
    public var type: UInt32
    public var sector: UInt64

    public init(type: UInt32, sector: UInt64) {
        self.type = type
        self.sector = sector
    }

    /// From its two words, as they stand in memory.
    public init(words: (UInt64, UInt64)) {
        type = UInt32(truncatingIfNeeded: UInt64(littleEndian: words.0))
        sector = UInt64(littleEndian: words.1)
    }

    /// As it stands in memory. The second field, a priority in former days, is zero.
    public var words: (UInt64, UInt64) { (UInt64(type).littleEndian, sector.littleEndian) }

    public static let byteCount = 16

    public static let read: UInt32 = 0
    public static let write: UInt32 = 1
    public static let flush: UInt32 = 4
    public static let identify: UInt32 = 8
    public static let discard: UInt32 = 11
    public static let writeZeroes: UInt32 = 13
}

/// A range of a discard or write-zeroes request (`struct virtio_blk_discard_write_zeroes`).
public struct BlockSegment: Equatable, Sendable {
    public var sector: UInt64
    public var sectorCount: UInt32
    /// Bit 0: the space may be given up. The others are reserved.
    public var flags: UInt32

    public init(sector: UInt64, sectorCount: UInt32, flags: UInt32) {
        self.sector = sector
        self.sectorCount = sectorCount
        self.flags = flags
    }

    public init(words: (UInt64, UInt64)) {
        sector = UInt64(littleEndian: words.0)
        let second = UInt64(littleEndian: words.1)
        sectorCount = UInt32(truncatingIfNeeded: second)
        flags = UInt32(truncatingIfNeeded: second >> 32)
    }

    public var words: (UInt64, UInt64) {
        (sector.littleEndian, (UInt64(sectorCount) | UInt64(flags) << 32).littleEndian)
    }

    public static let byteCount = 16
    public static let mayUnmap: UInt32 = 1
}

/// How long the answer to a request for the device's identifier is (`VIRTIO_BLK_ID_BYTES`).
public let blockIdentifierByteCount = 20
