public import BasicContainers
public import SharedMemory
public import SwiotlbPool
public import Virtqueue

/// The driver's side of a virtio-blk queue (virtio 1.2, 5.2.6): makes requests from buffers in the
/// guest's private memory, through a mapper, and checks everything that comes back.
///
/// Rings, headers and status bytes live in one coherent allocation, which the device sees for good;
/// payloads are mapped for the time of a request. With a `BounceMapper` they are copied through the
/// window, with an `IdentityMapper` the device uses them where they are: the driver is the same.
///
/// **Threading.** One thread. **Cost.** Nothing is allocated after `init`. A request takes three
/// parts: header, payload, status.
public struct BlockDriver<Mapper: DMAMapper & ~Copyable>: ~Copyable {
    @usableFromInline var mapper: Mapper
    @usableFromInline var queue: DriverQueue
    @usableFromInline let memory: CoherentAllocation
    @usableFromInline let layout: BlockDriverLayout
    @usableFromInline var rows: RigidArray<BlockDriverRow>
    @usableFromInline var freeRows: RigidArray<Int>
    /// The parts of the request that is being made.
    @usableFromInline var parts: RigidArray<GuestRange>

    /// The queue as the device is told of it.
    public let queueConfiguration: QueueConfiguration

    /// - Parameters:
    ///   - mapper: what makes buffers reachable for the device.
    ///   - memory: of ``BlockDriverLayout/byteCount`` bytes, and aligned to 64.
    ///   - features: what was negotiated.
    ///   - payloadByteCountMax: the longest payload.
    /// - Throws: where `memory` is too short for the queue.
    @inlinable
    public init(
        mapper: consuming Mapper, memory: consuming CoherentAllocation,
        layout: BlockDriverLayout, features: VirtioFeatures, payloadByteCountMax: Int
    ) throws(QueueFault) {
        let mappingByteCountMax = mapper.maximumMappingByteCount
        let mappingCountMax = max((payloadByteCountMax - 1) / mappingByteCountMax + 1, 1)
        let address = memory.deviceRange.address
        guard memory.deviceRange.byteCount >= layout.byteCount else {
            throw .invalidAddress(area: "descriptor")
        }
        let queue = try DriverQueue(layout.queue, in: memory, features: features)
        var rows = RigidArray<BlockDriverRow>(capacity: layout.requestCountMax)
        var freeRows = RigidArray<Int>(capacity: layout.requestCountMax)
        for row in (0..<layout.requestCountMax).reversed() {
            rows.append(BlockDriverRow(mappingCountMax: mappingCountMax))
            freeRows.append(row)
        }
        queueConfiguration = layout.queue.configuration(at: address, features: features)
        parts = RigidArray(capacity: mappingCountMax + 2)
        self.mapper = mapper
        self.queue = queue
        self.memory = memory
        self.layout = layout
        self.rows = rows
        self.freeRows = freeRows
    }

    /// How many requests are with the device, or were made and not shown to it yet.
    @inlinable
    public var inflightCount: Int { queue.inflightCount }

    /// Whether ``submit(_:sector:payload:tag:)`` would return false.
    @inlinable
    public var isFull: Bool { freeRows.isEmpty }

    /// Bytes that bouncing has copied.
    @inlinable
    public var copiedByteCount: Int { mapper.copiedByteCount }

    /// Makes a request. The device sees it after ``publish()``.
    ///
    /// - Parameters:
    ///   - sector: where in the storage, in sectors of 512 bytes.
    ///   - payload: the buffer to read into or to write from; `nil` for requests without one. A
    ///     multiple of 512 bytes, no longer than the payload that the driver was made for.
    ///   - tag: comes back with the completion.
    /// - Precondition: a discard or write-zeroes is of fewer than 2^32 sectors, all that a range can
    ///   say.
    /// - Returns: false where as many requests are under way as there is room for.
    /// - Throws: where the payload cannot be mapped, now or ever (`MapRefusal.isTemporary`); nothing
    ///   was made then, and nothing stays mapped.
    @inlinable
    public mutating func submit(
        _ operation: BlockOperation, sector: UInt64 = 0, payload: GuestRange? = nil, tag: UInt64
    ) throws(MapRefusal) -> Bool {
        guard !freeRows.isEmpty else { return false }
        let row = freeRows[freeRows.count - 1]
        parts.removeAll()
        parts.append(storeHeader(operation, sector: sector, row: row))
        let reads = if case .read = operation { true } else { false }
        if let payload {
            try rows[row].mappings.map(
                payload, reads ? .fromDevice : .toDevice, by: &mapper, parts: &parts)
        }
        let readableCount = reads ? 1 : parts.count
        parts.append(layout.status(row, at: memory.deviceRange.address))
        guard Self.add(parts, readableCount: readableCount, tag: UInt64(row), to: &queue) else {
            rows[row].mappings.unmap(usedByteCount: 0, by: &mapper)
            return false
        }
        rows[row].tag = tag
        rows[row].payloadByteCount = reads ? payload?.byteCount ?? 0 : 0
        freeRows.removeLast()
        return true
    }

    /// Shows the device what was made since the last time.
    ///
    /// - Returns: whether it is to be kicked.
    @inlinable
    public mutating func publish() -> Bool { queue.publish() }

    /// Takes a request that has ended, if there is one; its payload was copied out and unmapped.
    ///
    /// A status that does not exist, and one that claims success without all of the payload having
    /// been written, count as an I/O error.
    ///
    /// - Throws: where the device broke the queue's rules. Then nothing that is with the device can
    ///   be trusted to end; ``abandon()`` lets go of it.
    @inlinable
    public mutating func nextCompletion() throws(QueueFault) -> BlockDriverCompletion? {
        guard let used = try queue.nextUsed() else { return nil }
        let row = Int(used.tag)
        let byteCount = rows[row].payloadByteCount
        let written = min(used.writtenByteCount, byteCount)
        // The device's last store before it gave the buffer back; loaded once.
        let word = memory.memory.load(
            UInt8.self, at: memory.memoryOffset + layout.statusOffset(row))
        var status = BlockStatus(rawValue: word) ?? .ioError
        if status == .ok, written < byteCount { status = .ioError }
        rows[row].mappings.unmap(usedByteCount: written, by: &mapper)
        freeRows.append(row)
        return BlockDriverCompletion(
            tag: rows[row].tag, status: status, writtenByteCount: written)
    }

    /// Asks the device not to call.
    @inlinable
    public mutating func disableCalls() { queue.disableCalls() }

    /// Asks the device to call for the next completion, and looks once more.
    ///
    /// - Returns: whether there is one already, for which no call may come.
    @inlinable
    public mutating func enableCalls() -> Bool { queue.enableCalls() }

    /// Whether there is a completion. One load.
    @inlinable
    public var hasCompletion: Bool { queue.hasUsed }

    /// Lets go of everything that is with the device, after that is known to be gone: nothing is
    /// copied out.
    @inlinable
    public mutating func abandon() {
        for row in 0..<rows.count { rows[row].mappings.unmap(usedByteCount: 0, by: &mapper) }
    }
}

extension BlockDriver where Mapper: ~Copyable {
    @inlinable
    static func add(
        _ parts: borrowing RigidArray<GuestRange>, readableCount: Int, tag: UInt64,
        to queue: inout DriverQueue
    ) -> Bool {
        queue.add(parts.span, readableCount: readableCount, tag: tag)
    }

    /// Writes a request's header.
    ///
    /// - Returns: where the device finds it, with the range that discards and zeroes have behind it.
    @inlinable
    mutating func storeHeader(
        _ operation: BlockOperation, sector: UInt64, row: Int
    ) -> GuestRange {
        let offset = memory.memoryOffset + layout.headerOffset(row)
        let header: BlockHeader
        var segment: BlockSegment?
        switch operation {
        case .read: header = BlockHeader(type: BlockHeader.read, sector: sector)
        case .write: header = BlockHeader(type: BlockHeader.write, sector: sector)
        case .flush: header = BlockHeader(type: BlockHeader.flush, sector: 0)
        case .discard(let count):
            header = BlockHeader(type: BlockHeader.discard, sector: 0)
            segment = BlockSegment(
                sector: sector, sectorCount: UInt32(count), flags: 0)
        case .writeZeroes(let count, let mayUnmap):
            header = BlockHeader(type: BlockHeader.writeZeroes, sector: 0)
            segment = BlockSegment(
                sector: sector, sectorCount: UInt32(count),
                flags: mayUnmap ? BlockSegment.mayUnmap : 0)
        }
        memory.memory.store(header.words.0, at: offset)
        memory.memory.store(header.words.1, at: offset + 8)
        if let segment {
            memory.memory.store(segment.words.0, at: offset + BlockHeader.byteCount)
            memory.memory.store(segment.words.1, at: offset + BlockHeader.byteCount + 8)
        }
        // No status: what a device leaves that writes none.
        memory.memory.store(0xff as UInt8, at: memory.memoryOffset + layout.statusOffset(row))
        return GuestRange(
            address: GuestAddress(
                memory.deviceRange.address.rawValue + UInt64(layout.headerOffset(row))),
            byteCount: BlockHeader.byteCount + (segment == nil ? 0 : BlockSegment.byteCount))
    }
}

/// The end of a request, as the driver sees it.
public struct BlockDriverCompletion: Sendable {
    /// The tag that the request was made with.
    public let tag: UInt64
    public let status: BlockStatus
    /// Bytes of the payload that the device says it has written: of a read, all of them where the
    /// status is OK.
    public let writtenByteCount: Int

    @inlinable
    init(tag: UInt64, status: BlockStatus, writtenByteCount: Int) {
        self.tag = tag
        self.status = status
        self.writtenByteCount = writtenByteCount
    }
}

/// A request under way.
@usableFromInline struct BlockDriverRow: ~Copyable {
    @usableFromInline var mappings: BufferMappings
    @usableFromInline var tag: UInt64 = 0
    /// How much the device is to write into the payload.
    @usableFromInline var payloadByteCount = 0

    @inlinable
    init(mappingCountMax: Int) {
        mappings = BufferMappings(countMax: mappingCountMax)
    }
}
