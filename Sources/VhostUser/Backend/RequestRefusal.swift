public import SharedMemory
public import Virtqueue

/// Why a backend does not do what a well-formed request asks. Nothing has changed then, save that a
/// ring that has all its settings may not run.
public enum RequestRefusal: Error, Equatable, Sendable {
    /// The request is part of an extension that was not offered.
    case notOffered
    /// Features that were not offered, as bits.
    case unofferedFeatures(UInt64)
    /// There is no such queue.
    case queueOutOfRange(UInt32)
    /// The queue cannot be that long.
    case queueSize(UInt32)
    /// A base is no position in such a queue.
    case vringBase(UInt32)
    /// A ring is not in the memory that was given, or not in one region of it.
    case unreachableRing
    /// A region is empty, runs past an end, or overlaps another.
    case region(MemoryMap.Fault)
    /// There are as many regions as slots.
    case noFreeSlot
    /// There is no such region to remove.
    case unknownRegion
    /// In-flight memory that does not fit the queues.
    case inflight
    /// A part of the configuration space that is not there, or not the driver's to write.
    case configuration
    /// The channel for the backend's requests would end at the backend.
    case channelToItself
    /// The device's network could not be told of an address.
    case announcement(SystemCallError)
    /// Packets may not be that long.
    case mtu(UInt64)
    /// A queue could not be started with what has been set.
    case queueStart(index: Int, QueueStartFailure)
    /// A descriptor could not be used.
    case system(SystemCallError)
}

extension RequestRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notOffered: "it was not offered"
        case .unofferedFeatures(let bits): "features 0x\(String(bits, radix: 16)) were not offered"
        case .queueOutOfRange(let index): "there is no queue \(index)"
        case .queueSize(let size): "a queue cannot have \(size) descriptors"
        case .vringBase(let base): "0x\(String(base, radix: 16)) is no position in a queue"
        case .unreachableRing: "a ring lies outside the memory, or across two regions"
        case .region(.invalidRegion): "a region is empty or runs past an end"
        case .region(.overlap): "regions overlap"
        case .noFreeSlot: "all memory slots are in use"
        case .unknownRegion: "there is no such region"
        case .inflight: "the in-flight memory does not fit the queues"
        case .configuration: "that part of the configuration space cannot be had or written"
        case .channelToItself: "the channel leads back to this backend"
        case .announcement(let error): "the address was not announced (\(error))"
        case .mtu(let mtu): "the device takes no packets of \(mtu) bytes"
        case .queueStart(let index, let failure): "queue \(index) cannot be started: \(failure)"
        case .system(let error): "\(error)"
        }
    }
}
