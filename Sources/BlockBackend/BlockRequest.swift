public import SystemPackage

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

/// The end of one block request.
public struct BlockCompletion: Sendable {
    /// The tag that the request was enqueued with.
    public let tag: UInt64
    public let status: BlockStatus
    /// Bytes written into the payload, from its start: of a read, as many as truly came. What goes
    /// into a used ring's length, less the status byte.
    public let writtenByteCount: Int
    /// What the kernel said where ``status`` is not `ok`; `nil` where the request was refused
    /// without asking it.
    public let errno: Errno?
}

/// The size of a sector in bytes (virtio 1.2, 5.2.4): the unit of every position, whatever the
/// storage.
public let sectorByteCount = 512
