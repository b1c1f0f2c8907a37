public import SystemPackage
public import Virtqueue

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
