public import BasicContainers
public import SharedMemory
public import SwiotlbPool
public import Virtqueue

/// The driver's side of a virtio-net receive queue (virtio 1.2, 5.1.6.3 and 5.1.6.4): buffers of the guest's
/// private memory that are mapped once and for good.
///
/// What a frame has is copied out by a sync, and the buffer goes back to the device: nothing is mapped or
/// unmapped for a frame. The device can write into the window's side of a buffer at any time, so what was
/// copied out is what counts.
///
/// **Threading.** One thread. **Cost.** Nothing is allocated after `init`.
public struct NetReceiver<Mapper: DMAMapper & ~Copyable>: ~Copyable {
    @usableFromInline var mapper: Mapper
    @usableFromInline var queue: DriverQueue
    @usableFromInline let memory: CoherentAllocation
    /// One for each buffer; only ``end()`` takes them out.
    @usableFromInline var mappings: RigidArray<DMAMapping>
    /// How long a buffer is, in bytes.
    public let bufferByteCount: Int

    /// The queue as the device is told of it.
    public let queueConfiguration: QueueConfiguration

    /// - Parameters:
    ///   - mapper: what makes buffers reachable for the device.
    ///   - memory: for the queue: of `layout.byteCount` bytes, and aligned to 64.
    ///   - features: what was negotiated.
    ///   - buffers: private memory that is divided into as many buffers as the queue has descriptors.
    /// - Throws: where `memory` is too short for the queue, or a buffer cannot be mapped.
    @inlinable
    public init(
        mapper: consuming Mapper, memory: consuming CoherentAllocation, layout: QueueLayout,
        features: VirtioFeatures, buffers: GuestRange
    ) throws(NetReceiverFailure) {
        let address = memory.deviceRange.address
        let byteCount = buffers.byteCount / layout.size
        precondition(byteCount >= NetHeader.byteCount, "a buffer has room for a header")
        var queue: DriverQueue
        do throws(QueueFault) {
            queue = try DriverQueue(layout, in: memory, features: features)
        } catch {
            throw .queue(error)
        }
        var mapper = mapper
        var mappings = RigidArray<DMAMapping>(capacity: layout.size)
        for index in 0..<layout.size {
            do throws(MapRefusal) {
                mappings.append(
                    try mapper.map(
                        buffers.slice(offset: index * byteCount, byteCount: byteCount), .fromDevice)
                )
            } catch {
                while !mappings.isEmpty { mapper.unmap(mappings.removeLast(), usedByteCount: 0) }
                throw .mapping(error)
            }
            // As many buffers as descriptors: there is room.
            _ = queue.add(mappings[index].deviceRange, isReadable: false, tag: UInt64(index))
        }
        queueConfiguration = layout.configuration(at: address, features: features)
        bufferByteCount = byteCount
        self.mapper = mapper
        self.queue = queue
        self.memory = memory
        self.mappings = mappings
    }

    /// Takes the next buffer that the device has filled, if there is one; what was written was copied out.
    ///
    /// - Returns: its number, and how many bytes the device says it has written: never more than the
    ///   buffer has. The first buffer of a frame begins with a header, which says of how many
    ///   buffers the frame is; neither was looked at.
    /// - Throws: where the device broke the queue's rules.
    @inlinable @inline(__always)
    public mutating func next() throws(QueueFault) -> (buffer: Int, byteCount: Int)? {
        guard let used = try queue.nextUsed() else { return nil }
        let buffer = Int(used.tag)
        Self.sync(mappings, buffer, byteCount: used.writtenByteCount, &mapper)
        return (buffer, used.writtenByteCount)
    }

    @inlinable @inline(__always)
    static func sync(
        _ mappings: borrowing RigidArray<DMAMapping>, _ index: Int, byteCount: Int,
        _ mapper: inout Mapper
    ) {
        mapper.syncForCPU(mappings[index], offset: 0, byteCount: byteCount)
    }

    /// Gives a buffer to the device again, after ``next()``. The device sees it after ``publish()``.
    @inlinable @inline(__always)
    public mutating func giveBack(_ buffer: Int) {
        let isAdded = queue.add(
            mappings[buffer].deviceRange, isReadable: false, tag: UInt64(buffer))
        precondition(isAdded, "a buffer is given back once")
    }

    /// Shows the device what was given back since the last time.
    ///
    /// - Returns: whether it is to be kicked.
    @inlinable
    public mutating func publish() -> Bool { queue.publish() }

    /// Asks the device not to call.
    @inlinable
    public mutating func disableCalls() { queue.disableCalls() }

    /// Asks the device to call for the next frame, and looks once more.
    @inlinable
    public mutating func enableCalls() -> Bool { queue.enableCalls() }

    /// Unmaps all buffers, after the device is known to be gone.
    @inlinable
    public mutating func end() {
        while !mappings.isEmpty { mapper.unmap(mappings.removeLast(), usedByteCount: 0) }
    }
}

/// Why a receive queue cannot be set up.
public enum NetReceiverFailure: Error, Equatable, Sendable {
    case queue(QueueFault)
    case mapping(MapRefusal)
}
