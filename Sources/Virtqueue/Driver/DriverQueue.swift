import BasicContainers
public import SharedMemory

/// The driver's side of a virtqueue: makes buffers available, and takes them back used (virtio 1.2,
/// 2.6 to 2.8).
///
/// The device may write anything into the rings at any time. What the driver needs to know of its
/// own descriptors it keeps in private memory; what comes back, numbers and lengths, is loaded once
/// and checked against that.
///
/// **Threading.** One thread. **Cost.** Nothing is allocated after `init`.
public struct DriverQueue: ~Copyable {
    /// The number of descriptors.
    public let size: Int
    /// How many buffers are with the device.
    public internal(set) var inflightCount = 0

    let isPacked: Bool
    let usesEventIndex: Bool
    let isInOrder: Bool

    let descriptors: RingArea
    let driver: RingArea
    let device: RingArea
    /// One for each buffer, in the memory that the device sees; `nil` where none are used.
    let tables: RingArea?
    let tableLength: Int
    let tableAddress: GuestAddress

    /// What is known of each buffer, by its number.
    var buffers: RigidArray<DriverBuffer>
    /// Free descriptors of a split queue are linked from here through ``DriverBuffer/next``, free
    /// numbers of a packed one likewise. With in-order use they are free in the order of the ring,
    /// and linked so for good.
    var free: UInt16 = 0
    var freeDescriptorCount: Int
    /// How many of the buffers that are with the device have been shown to it.
    var shownCount = 0
    /// With in-order use, the numbers of the buffers with the device, the oldest at `oldest`.
    var order: RigidArray<UInt16>
    var oldest = 0
    /// With in-order use, the entry that ends the batch at hand.
    var batchEnd: UsedEntry?

    // Split: free-running indices. `seen` is the used index as it was loaded last.
    var available: UInt16 = 0
    var used: UInt16 = 0
    var seen: UInt16 = 0
    // Packed.
    var packedAvailable = PackedPosition(rawValue: 0x8000)
    var packedUsed = PackedPosition(rawValue: 0x8000)

    /// How far the queue has gone since the last ``publish()``: in buffers of a split queue, in
    /// descriptors of a packed one.
    var unpublished = 0
    /// The first descriptor that was not published yet, in a packed queue: where, and what is to be
    /// stored there.
    var held: (offset: Int, word: UInt64)?

    /// - Parameters:
    ///   - layout: how the queue is laid out.
    ///   - address: where; its memory is zeroed.
    ///   - features: what was negotiated; indirect descriptors are used where they were and the
    ///     layout has tables.
    ///   - memoryMap: where the driver finds that memory.
    /// - Throws: where the memory is not in the map.
    public init(
        _ layout: QueueLayout, at address: GuestAddress, features: VirtioFeatures,
        memoryMap: MemoryMap
    ) throws(QueueFault) {
        let configuration = layout.configuration(at: address, features: features)
        let areas = try RingAreas(configuration, in: memoryMap)
        let usesTables = features.contains(.indirectDescriptors) && layout.tableLength > 1
        let tableAddress = GuestAddress(address.rawValue &+ UInt64(layout.tableOffset))
        tables =
            usesTables
            ? try RingArea(
                "indirect", at: tableAddress,
                byteCount: layout.size * layout.tableLength * Descriptor.byteCount, alignment: 16,
                in: memoryMap) : nil
        var buffers = RigidArray<DriverBuffer>(capacity: layout.size)
        var order = RigidArray<UInt16>(capacity: layout.size)
        let isInOrder = features.contains(.inOrder)
        for index in 0..<layout.size {
            let next = isInOrder ? (index + 1) & (layout.size - 1) : index + 1
            buffers.append(DriverBuffer(next: UInt16(truncatingIfNeeded: next)))
            order.append(0)
        }
        self.tableAddress = tableAddress
        tableLength = usesTables ? layout.tableLength : 0
        size = layout.size
        isPacked = layout.isPacked
        usesEventIndex = features.contains(.eventIndex)
        self.isInOrder = isInOrder
        descriptors = areas.descriptors
        driver = areas.driver
        device = areas.device
        freeDescriptorCount = layout.size
        self.buffers = buffers
        self.order = order
    }

    /// Makes a buffer available. The device sees it after ``publish()``.
    ///
    /// - Parameters:
    ///   - parts: its parts, which the device reads first and writes last; at least one, each of
    ///     less than 2^32 bytes. Their addresses are the device's.
    ///   - readableCount: how many of them, from the first on, are to read.
    ///   - tag: comes back with the buffer.
    /// - Returns: false where too few descriptors are free.
    public mutating func add(
        _ parts: Span<GuestRange>, readableCount: Int, tag: UInt64
    ) -> Bool {
        precondition(
            !parts.isEmpty && readableCount >= 0 && readableCount <= parts.count,
            "a buffer has a part")
        // In the ring itself while half of it is free: a table is one more thing to look up.
        let isIndirect =
            parts.count > 1 && parts.count <= tableLength
            && freeDescriptorCount &- parts.count < size / 2
        let count = isIndirect ? 1 : parts.count
        guard count <= freeDescriptorCount else { return false }
        let id = free
        var writable = 0
        for index in readableCount..<parts.count { writable &+= parts[index].byteCount }
        buffers[Int(id)].begin(tag: tag, writableByteCount: writable, descriptorCount: count)
        if isInOrder { order[(oldest &+ inflightCount) & (size &- 1)] = id }
        inflightCount &+= 1
        freeDescriptorCount &-= count
        if isPacked {
            addPacked(parts, readableCount, id, isIndirect: isIndirect)
        } else {
            addSplit(parts, readableCount, id, isIndirect: isIndirect)
        }
        return true
    }

    /// Makes a buffer of one part available. The device sees it after ``publish()``.
    ///
    /// - Parameters:
    ///   - part: of less than 2^32 bytes; its address is the device's.
    ///   - isReadable: whether the device is to read it; else to write it.
    ///   - tag: comes back with the buffer.
    /// - Returns: false where no descriptor is free.
    public mutating func add(_ part: GuestRange, isReadable: Bool, tag: UInt64) -> Bool {
        guard freeDescriptorCount > 0 else { return false }
        let id = free
        let next = buffers[Int(id)].next
        free = next
        buffers[Int(id)].begin(
            tag: tag, writableByteCount: isReadable ? 0 : part.byteCount, descriptorCount: 1)
        if isInOrder { order[(oldest &+ inflightCount) & (size &- 1)] = id }
        inflightCount &+= 1
        freeDescriptorCount &-= 1
        let flags = isReadable ? 0 : Descriptor.write
        if isPacked {
            storePacked(part, id, flags: flags)
        } else {
            buffers[Int(id)].last = id
            store(Descriptor(part, flags: flags, next: 0), at: Int(id))
            show(id)
        }
        return true
    }

    /// Shows the device what was made available since the last time.
    ///
    /// - Returns: whether the device wants to be kicked for it.
    public mutating func publish() -> Bool {
        guard unpublished > 0 else { return false }
        let count = unpublished
        unpublished = 0
        shownCount = inflightCount
        guard isPacked else {
            driver.storeReleasing(available, at: SplitRing.index)
            return device.wantsNotification(
                upTo: available, count: count,
                eventOffset: usesEventIndex ? SplitRing.availableEvent(size: size) : nil)
        }
        if let held { descriptors.storeReleasing(held.word, at: held.offset) }
        held = nil
        return device.wantsNotification(
            upTo: packedAvailable, count: count, size: size, usesEventIndex: usesEventIndex)
    }

    /// Takes a buffer that the device has used, if there is one.
    ///
    /// - Throws: where the device broke the queue's rules: the queue cannot be used any more, and
    ///   what is with the device stays there.
    public mutating func nextUsed() throws(QueueFault) -> UsedBuffer? {
        guard isInOrder else {
            guard let entry = isPacked ? try nextPackedEntry() : try nextSplitEntry() else {
                return nil
            }
            return try finish(entry)
        }
        return try nextInOrder()
    }

    /// Checks what came back, and frees its descriptors.
    @inline(__always)
    mutating func finish(_ entry: UsedEntry) throws(QueueFault) -> UsedBuffer {
        guard entry.id < size, buffers[entry.id].descriptorCount > 0 else {
            throw .unknownBuffer(id: entry.id)
        }
        guard entry.byteCount <= buffers[entry.id].writableByteCount else {
            throw .usedLengthOutOfRange(byteCount: entry.byteCount)
        }
        let count = Int(buffers[entry.id].descriptorCount)
        buffers[entry.id].descriptorCount = 0
        freeDescriptorCount &+= count
        inflightCount &-= 1
        shownCount &-= 1
        if !isInOrder {
            // A split buffer's descriptors are linked to each other already.
            let last = isPacked ? entry.id : Int(buffers[entry.id].last)
            buffers[last].next = free
            free = UInt16(truncatingIfNeeded: entry.id)
        }
        if isPacked {
            packedUsed.advance(by: count, size: size)
        } else {
            used &+= 1
        }
        return UsedBuffer(tag: buffers[entry.id].tag, writtenByteCount: entry.byteCount)
    }

    /// One entry may stand for all buffers up to it: those before it were filled (2.7.9, 2.8.8).
    private mutating func nextInOrder() throws(QueueFault) -> UsedBuffer? {
        if batchEnd == nil {
            guard let entry = isPacked ? try nextPackedEntry() : try nextSplitEntry() else {
                return nil
            }
            guard entry.id < size, buffers[entry.id].descriptorCount > 0 else {
                throw .unknownBuffer(id: entry.id)
            }
            batchEnd = entry
        }
        guard let end = batchEnd else { return nil }
        // A batch ends before the index that the device has shown.
        guard shownCount > 0, isPacked || used != seen else {
            throw .unknownBuffer(id: end.id)
        }
        let id = Int(order[oldest])
        oldest = (oldest &+ 1) & (size &- 1)
        guard id != end.id else {
            batchEnd = nil
            return try finish(end)
        }
        return try finish(UsedEntry(id: id, byteCount: buffers[id].writableByteCount))
    }
}

/// A buffer that came back.
public struct UsedBuffer: Sendable {
    /// The tag that it was made available with.
    public let tag: UInt64
    /// How many bytes the device says it has written into the buffer, from the start of what it may
    /// write: never more than that has.
    public let writtenByteCount: Int
}

/// What a driver knows of a buffer, or of a descriptor, by its number.
struct DriverBuffer {
    var tag: UInt64 = 0
    var writableByteCount = 0
    /// How many descriptors of the ring it takes; 0 where it is not with the device.
    var descriptorCount: UInt16 = 0
    /// Split: the last descriptor of the chain.
    var last: UInt16 = 0
    /// The next descriptor of the chain, or the next that is free.
    var next: UInt16

    init(next: UInt16) {
        self.next = next
    }

    @inline(__always)
    mutating func begin(tag: UInt64, writableByteCount: Int, descriptorCount: Int) {
        self.tag = tag
        self.writableByteCount = writableByteCount
        self.descriptorCount = UInt16(truncatingIfNeeded: descriptorCount)
    }
}

/// An entry of a used ring, loaded once and not checked yet.
struct UsedEntry {
    let id: Int
    let byteCount: Int
}
