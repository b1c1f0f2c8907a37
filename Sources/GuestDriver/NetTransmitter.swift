public import BasicContainers
public import SharedMemory
public import SwiotlbPool
public import Virtqueue

/// The driver's side of a virtio-net transmit queue (virtio 1.2, 5.1.6.2): sends frames from buffers in the
/// guest's private memory, through a mapper.
///
/// A frame's header lies before it in the same buffer, as Linux puts it where it can: then a frame is one
/// mapping, and one descriptor. With a `BounceMapper` both are copied into the window, with an
/// `IdentityMapper` the device reads them where they are: the driver is the same.
///
/// **Threading.** One thread. **Cost.** Nothing is allocated after `init`.
public struct NetTransmitter<Mapper: DMAMapper & ~Copyable>: ~Copyable {
    @usableFromInline var mapper: Mapper
    @usableFromInline var queue: DriverQueue
    @usableFromInline let memory: CoherentAllocation
    /// Where short frames are copied to; `nil` where all are mapped.
    @usableFromInline var slots: TransmitSlots?
    /// The mappings of each frame that is with the device, and its tag.
    @usableFromInline var rows: RigidArray<NetTransmitterRow>
    @usableFromInline var freeRows: RigidArray<Int>
    /// The parts of the frame that is being sent.
    @usableFromInline var parts: RigidArray<GuestRange>

    /// The queue as the device is told of it.
    public let queueConfiguration: QueueConfiguration

    /// - Parameters:
    ///   - mapper: what makes buffers reachable for the device.
    ///   - memory: for the queue: of `layout.byteCount` bytes, and aligned to 64.
    ///   - features: what was negotiated.
    ///   - slots: where short frames in one buffer are copied to, instead of being mapped; `nil` for a mapper
    ///     that copies nothing.
    ///   - partCountMax: how many parts a frame has at most, its header's among them.
    /// - Throws: where `memory` is too short for the queue.
    @inlinable
    public init(
        mapper: consuming Mapper, memory: consuming CoherentAllocation, layout: QueueLayout,
        features: VirtioFeatures, slots: consuming TransmitSlots? = nil, partCountMax: Int = 1
    ) throws(QueueFault) {
        let address = memory.deviceRange.address
        let queue = try DriverQueue(layout, in: memory, features: features)
        var rows = RigidArray<NetTransmitterRow>(capacity: layout.size)
        var freeRows = RigidArray<Int>(capacity: layout.size)
        for row in (0..<layout.size).reversed() {
            rows.append(NetTransmitterRow(mappingCountMax: partCountMax))
            freeRows.append(row)
        }
        queueConfiguration = layout.configuration(at: address, features: features)
        parts = RigidArray(capacity: partCountMax)
        self.mapper = mapper
        self.queue = queue
        self.memory = memory
        self.slots = slots
        self.rows = rows
        self.freeRows = freeRows
    }

    /// How many frames are with the device, or were made and not shown to it yet.
    @inlinable
    public var inflightCount: Int { queue.inflightCount }

    /// Sends a frame that lies in one buffer. The device sees it after ``publish()``.
    ///
    /// - Parameters:
    ///   - buffer: the header, then the frame.
    ///   - tag: comes back when the device is done with it.
    /// - Returns: false where the queue has no room.
    /// - Throws: where the buffer cannot be mapped, now or ever; nothing stays mapped.
    @inlinable @inline(__always)
    public mutating func send(_ buffer: GuestRange, tag: UInt64) throws(MapRefusal) -> Bool {
        guard !freeRows.isEmpty else { return false }
        let row = freeRows[freeRows.count - 1]
        if let slot = slots?.put(buffer, into: row) {
            guard queue.add(slot, isReadable: true, tag: UInt64(row)) else { return false }
            take(row, tag: tag)
            return true
        }
        parts.removeAll()
        try rows[row].mappings.map(buffer, .toDevice, by: &mapper, parts: &parts)
        return make(row, tag: tag)
    }

    /// Sends a frame that lies in several buffers, the first of which begins with the header.
    ///
    /// - Precondition: there are no more buffers than parts of a frame.
    /// - Returns, throws: as ``send(_:tag:)``.
    @inlinable
    public mutating func send(_ buffers: Span<GuestRange>, tag: UInt64) throws(MapRefusal) -> Bool {
        precondition(buffers.count <= parts.capacity, "a frame has no more parts than that")
        guard !freeRows.isEmpty else { return false }
        let row = freeRows[freeRows.count - 1]
        parts.removeAll()
        for index in buffers.indices {
            try rows[row].mappings.map(buffers[index], .toDevice, by: &mapper, parts: &parts)
        }
        return make(row, tag: tag)
    }

    /// Makes a frame of what was mapped for it.
    @inlinable @inline(__always)
    mutating func make(_ row: Int, tag: UInt64) -> Bool {
        guard Self.add(parts, tag: UInt64(row), to: &queue) else {
            unmap(row)
            return false
        }
        take(row, tag: tag)
        return true
    }

    @inlinable @inline(__always)
    mutating func take(_ row: Int, tag: UInt64) {
        rows[row].tag = tag
        freeRows.removeLast()
    }

    @inlinable @inline(__always)
    static func add(
        _ parts: borrowing RigidArray<GuestRange>, tag: UInt64, to queue: inout DriverQueue
    ) -> Bool {
        queue.add(parts.span, readableCount: parts.count, tag: tag)
    }

    /// Shows the device what was made since the last time.
    ///
    /// - Returns: whether it is to be kicked.
    @inlinable
    public mutating func publish() -> Bool { queue.publish() }

    /// Takes back a frame that the device is done with, if there is one; its buffers were unmapped.
    ///
    /// - Returns: the tag that it was sent with.
    /// - Throws: where the device broke the queue's rules. Then nothing that is with the device can be
    ///   trusted to come back; ``abandon()`` lets go of it.
    @inlinable @inline(__always)
    public mutating func nextSent() throws(QueueFault) -> UInt64? {
        guard let used = try queue.nextUsed() else { return nil }
        let row = Int(used.tag)
        unmap(row)
        freeRows.append(row)
        slots?.prefetch(row)
        return rows[row].tag
    }

    /// Asks the device not to call.
    @inlinable
    public mutating func disableCalls() { queue.disableCalls() }

    /// Asks the device to call for the next frame that it is done with, and looks once more.
    @inlinable
    public mutating func enableCalls() -> Bool { queue.enableCalls() }

    /// Lets go of everything that is with the device, after that is known to be gone.
    @inlinable
    public mutating func abandon() {
        for row in 0..<rows.count { unmap(row) }
    }

    @inlinable @inline(__always)
    mutating func unmap(_ row: Int) {
        rows[row].mappings.unmap(usedByteCount: 0, by: &mapper)
    }
}

/// A frame that is with the device.
@usableFromInline struct NetTransmitterRow: ~Copyable {
    @usableFromInline var mappings: BufferMappings
    @usableFromInline var tag: UInt64 = 0

    @inlinable
    init(mappingCountMax: Int) {
        mappings = BufferMappings(countMax: mappingCountMax)
    }
}
