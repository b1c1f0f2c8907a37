import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

/// A block queue and the driver's side of it, both in this thread, in one memory; requests are put
/// together by hand.
struct QueueBench: ~Copyable {
    static let base = GuestAddress(0x10_0000)

    let memory: HostMemory
    let map: MemoryMap
    let configuration: QueueConfiguration
    var driver: DriverQueue
    var queue: BlockQueue
    /// Where the next piece of memory is handed out.
    private var next: Int

    init(
        storage: BlockStorage, size: Int = 256, features: VirtioFeatures = [.blockFlush],
        cache: BlockCacheMode = BlockCacheMode(), byteCount: Int = 4 << 20,
        settings: BlockQueue.Configuration = BlockQueue.Configuration(),
        _ configure: (inout QueueSetup) throws -> Void = { _ in }
    ) throws {
        let layout = QueueLayout(size: size, isPacked: features.contains(.packedRing))
        let memory = try HostMemory.anonymous(byteCount: byteCount)
        let map = MemoryMap(memory, at: Self.base)
        let configuration = layout.configuration(at: Self.base, features: features)
        var setup = QueueSetup(
            configuration: configuration, memoryMap: map,
            position: .start(isPacked: layout.isPacked), kick: nil, call: nil)
        try configure(&setup)
        let driver = try DriverQueue(layout, at: Self.base, features: features, memoryMap: map)
        let queue = try BlockQueue(
            storage: storage, setup: setup, cache: cache, configuration: settings)
        self.configuration = configuration
        self.driver = driver
        self.queue = queue
        self.memory = memory
        self.map = map
        next = (layout.byteCount + 4095) / 4096 * 4096
    }

    /// Memory that no other request has.
    ///
    /// - Parameter alignment: what its address is a multiple of.
    mutating func room(_ byteCount: Int, alignment: Int = 1) -> GuestRange {
        next = (next + alignment - 1) / alignment * alignment
        defer { next += byteCount }
        return GuestRange(Self.base.rawValue + UInt64(next), byteCount)
    }

    mutating func put(_ bytes: [UInt8], alignment: Int = 1) -> GuestRange {
        let range = room(bytes.count, alignment: alignment)
        memory.store(bytes.span, at: Int(range.address.rawValue - Self.base.rawValue))
        return range
    }

    func bytes(_ range: GuestRange) -> [UInt8] {
        memory.bytes(
            at: Int(range.address.rawValue - Self.base.rawValue), byteCount: range.byteCount)
    }

    /// A turn of the queue.
    mutating func turn() throws {
        _ = try queue.fetch()
        try queue.submitAndWait(minimumCompletionCount: queue.isIdle ? 0 : 1)
        _ = queue.reap()
        _ = queue.publish()
    }

    mutating func add(_ parts: [GuestRange], readable: Int, tag: UInt64 = 7) {
        let isAdded = driver.add(parts.span, readableCount: readable, tag: tag)
        precondition(isAdded, "the queue has room")
        _ = driver.publish()
    }

    /// Makes a request and waits for its end.
    ///
    /// - Returns: the used length.
    mutating func run(_ parts: [GuestRange], readable: Int) throws -> Int {
        add(parts, readable: readable)
        for _ in 0..<100_000 {
            try turn()
            if let used = try driver.nextUsed() {
                guard used.tag == 7 else { throw NotEnqueued() }
                return used.writtenByteCount
            }
        }
        throw NotEnqueued()
    }

    /// The same of a request with header, payload and status in parts of their own.
    ///
    /// - Returns: the status, and the used length.
    mutating func run(
        _ type: UInt32, sector: UInt64 = 0, reads: [GuestRange] = [], writes: [GuestRange] = []
    ) throws -> (status: UInt8, byteCount: Int) {
        let header = put(headerBytes(type, sector: sector))
        let status = put([0xEE])
        let byteCount = try run([header] + reads + writes + [status], readable: 1 + reads.count)
        return (bytes(status)[0], byteCount)
    }
}

/// The header of a request, as it stands in memory.
func headerBytes(_ type: UInt32, sector: UInt64 = 0) -> [UInt8] {
    bytes(of: BlockHeader(type: type, sector: sector).words)
}

/// A range of a discard or write-zeroes request, as it stands in memory.
func segmentBytes(_ sector: UInt64, _ count: UInt32, flags: UInt32 = 0) -> [UInt8] {
    bytes(of: BlockSegment(sector: sector, sectorCount: count, flags: flags).words)
}

private func bytes(of words: (UInt64, UInt64)) -> [UInt8] {
    [words.0, words.1].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }
}
