/// What a peer did to a queue that leaves nothing to go on with: the queue stops until it is set up
/// anew. The other queues and the process are not concerned.
///
/// A request that is merely wrong, with buffers outside the memory map for example, is no fault: it
/// ends with a status.
public enum QueueFault: Error, Equatable, Sendable {
    /// The size is zero, no power of two, or more than ``QueueConfiguration/sizeMax``.
    case invalidSize(Int)
    /// A part of the rings lies outside the memory map, across two of its regions, or at an address
    /// that is not aligned as the specification wants it.
    case invalidAddress(area: String)
    /// The available index is further ahead than the queue has descriptors.
    case availableIndexOutOfRange(available: UInt16, next: UInt16)
    /// A packed queue is to go on at an index that is not below its size.
    case positionOutOfRange
    /// A used index is further ahead than there are buffers with the device.
    case usedIndexOutOfRange(used: UInt16, next: UInt16)
    /// A descriptor's number is not below the size.
    case descriptorOutOfRange(index: Int)
    /// A chain has more descriptors than it may: it loops, or lies.
    case chainTooLong
    /// More buffers are with the device, or not given back visibly yet, than the queue has
    /// descriptors.
    case tooManyChains
    /// An indirect descriptor where none was negotiated, inside another table, or followed by more.
    case misplacedIndirect
    /// An indirect table whose length is zero or no multiple of a descriptor's, or that is longer
    /// than the queue may have.
    case invalidIndirectTable(byteCount: Int)
    /// An indirect table that lies outside the memory map.
    case unreachableIndirectTable
    /// A part that the device may read, behind one that it may write.
    case readableAfterWritable
    /// A used buffer with a number that is not with the device.
    case unknownBuffer(id: Int)
    /// A used length that is more than the device may have written.
    case usedLengthOutOfRange(byteCount: Int)
    /// A request whose status byte, or another part without which it cannot be answered, lies outside
    /// the memory map.
    case unanswerableRequest
    /// An in-flight region that says something impossible.
    case invalidInflightRegion
    /// A part of the memory was cut short by its owner.
    case lostMemory
    /// The system has no memory for the queue's private tables.
    case outOfMemory
}
