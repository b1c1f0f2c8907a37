import SharedMemory

@testable import Virtqueue

/// A driver whose device a test plays by hand.
struct RawDriver: ~Copyable {
    let layout: QueueLayout
    let memory: HostMemory
    var queue: DriverQueue

    init(size: Int, features: VirtioFeatures = [], tableLength: Int = 0) throws {
        let layout = QueueLayout(
            size: size, isPacked: features.contains(.packedRing), tableLength: tableLength)
        let memory = try HostMemory.anonymous(byteCount: layout.byteCount)
        let queue = try DriverQueue(
            layout, at: RawRing.base, features: features,
            memoryMap: MemoryMap(memory, at: RawRing.base))
        self.layout = layout
        self.memory = memory
        self.queue = queue
    }

    /// Adds a buffer of parts with these lengths; whether there was room.
    @discardableResult
    mutating func add(_ lengths: [Int], readable: Int = 0, tag: UInt64 = 0) -> Bool {
        let parts = lengths.enumerated().map { index, length in
            GuestRange(address: GuestAddress(0x1000 + UInt64(index)), byteCount: length)
        }
        return queue.add(parts.span, readableCount: readable, tag: tag)
    }

    /// The same, and shows it.
    mutating func show(_ lengths: [Int], readable: Int = 0, tag: UInt64 = 0) {
        precondition(add(lengths, readable: readable, tag: tag), "there is room")
        _ = queue.publish()
    }

    /// What comes back, as tag and length.
    mutating func next() throws(QueueFault) -> [UInt64]? {
        guard let buffer = try queue.nextUsed() else { return nil }
        return [buffer.tag, UInt64(buffer.writtenByteCount)]
    }

    mutating func fault() -> QueueFault? {
        do throws(QueueFault) {
            _ = try queue.nextUsed()
            return nil
        } catch {
            return error
        }
    }

    // What the device does, by hand.

    func storeUsedIndex(_ index: UInt16) {
        memory.store(index, at: layout.deviceOffset + 2)
    }

    func storeUsed(_ slot: Int, id: UInt32, length: UInt32) {
        memory.store(id, at: layout.deviceOffset + 4 + 8 * slot)
        memory.store(length, at: layout.deviceOffset + 8 + 8 * slot)
    }

    /// Uses a buffer of a split queue at an index, and shows it.
    func use(_ index: UInt16, id: UInt32, length: UInt32 = 0) {
        storeUsed(Int(index) % layout.size, id: id, length: length)
        storeUsedIndex(index &+ 1)
    }

    /// Writes a used descriptor of a packed queue.
    func usePacked(_ place: Int, id: UInt16, length: UInt32 = 0, flags: UInt16 = Lap.firstUsed) {
        memory.store(
            UInt64(length) | UInt64(id) << 32 | UInt64(flags) << 48, at: 16 * place + 8)
    }

    /// A descriptor as the device sees it: address, length, and the last two words.
    func descriptor(_ place: Int) -> [UInt64] {
        [
            memory.load(UInt64.self, at: 16 * place),
            UInt64(memory.load(UInt32.self, at: 16 * place + 8)),
            UInt64(memory.load(UInt16.self, at: 16 * place + 12)),
            UInt64(memory.load(UInt16.self, at: 16 * place + 14)),
        ]
    }
}
