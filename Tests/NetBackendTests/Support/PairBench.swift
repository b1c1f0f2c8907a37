import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

/// A pair of queues with a port, and the driver's side of both, all in this thread and in one memory.
struct PairBench<Port: NetPort & ~Copyable>: ~Copyable {
    let memory: HostMemory
    let map: MemoryMap
    let layout: QueueLayout
    let features: VirtioFeatures
    var transmit: DriverQueue
    var receive: DriverQueue
    var pair: NetPair<Port>
    /// Where the next piece of memory is handed out.
    private var next: Int
    private var tag: UInt64 = 0

    static var base: GuestAddress { GuestAddress(0x10_0000) }
    private static var ringByteCount: Int { 65536 }

    init(
        _ port: consuming Port, features: VirtioFeatures = [], size: Int = 64, mtu: Int = 1500,
        entryCount: Int = 256, dirtyLog: DirtyLog? = nil
    ) throws {
        let layout = QueueLayout(
            size: size, isPacked: features.contains(.packedRing),
            tableLength: features.contains(.indirectDescriptors) ? min(size, 32) : 0)
        let memory = try HostMemory.anonymous(byteCount: 4 << 20)
        let map = MemoryMap(memory, at: Self.base)
        let (first, second) = (Self.base, Self.address(Self.ringByteCount))
        var space = NetConfiguration()
        space.mtu = UInt16(mtu)
        let state = NetState(space)
        var pair = NetPair(port: port, ring: try NetRing(entryCount: entryCount))
        func setup(_ address: GuestAddress) -> QueueSetup {
            var setup = QueueSetup(
                configuration: layout.configuration(at: address, features: features),
                memoryMap: map, position: .start(isPacked: layout.isPacked), kick: nil, call: nil)
            setup.dirtyLog = dirtyLog
            return setup
        }
        try pair.start(.transmit, setup(first), state: state)
        try pair.start(.receive, setup(second), state: state)
        let transmit = try DriverQueue(layout, at: first, features: features, memoryMap: map)
        let receive = try DriverQueue(layout, at: second, features: features, memoryMap: map)
        self.transmit = transmit
        self.receive = receive
        self.memory = memory
        self.map = map
        self.layout = layout
        self.features = features
        self.pair = pair
        next = 2 * Self.ringByteCount
    }

    static func address(_ offset: Int) -> GuestAddress {
        GuestAddress(base.rawValue + UInt64(offset))
    }

    /// Puts bytes somewhere into the memory.
    mutating func put(_ bytes: [UInt8]) -> GuestRange {
        // Around the end: tests are long over with what is there. At odd addresses, as frames are.
        if next + bytes.count + 64 > memory.byteCount { next = 2 * Self.ringByteCount }
        let offset = next
        next += bytes.count + 7
        memory.store(bytes.span, at: offset)
        return GuestRange(address: Self.address(offset), byteCount: bytes.count)
    }

    /// Room for as many bytes.
    mutating func room(_ byteCount: Int) -> GuestRange {
        put([UInt8](repeating: 0xEE, count: byteCount))
    }

    func bytes(_ range: GuestRange) -> [UInt8] {
        memory.bytes(
            at: Int(range.address.rawValue - Self.base.rawValue), byteCount: range.byteCount)
    }

    /// Makes a frame available, with the header in one part with it.
    mutating func sendFrame(_ frame: [UInt8], _ header: NetHeader = NetHeader()) {
        let range = put(header.bytes + frame)
        send([range])
    }

    mutating func send(_ parts: [GuestRange], readable: Int? = nil) {
        let isAdded = transmit.add(
            parts.span, readableCount: readable ?? parts.count, tag: tag)
        tag += 1
        precondition(isAdded, "the queue has room")
        _ = transmit.publish()
    }

    /// Makes a buffer available to receive into.
    ///
    /// - Returns: its parts.
    @discardableResult
    mutating func offer(_ byteCounts: [Int], tag: UInt64 = 0) -> [GuestRange] {
        let parts = byteCounts.map { room($0) }
        let isAdded = receive.add(parts.span, readableCount: 0, tag: tag)
        precondition(isAdded, "the queue has room")
        _ = receive.publish()
        return parts
    }

    /// The lengths of what came back of the receive queue.
    mutating func received() throws -> [Int] {
        var counts: [Int] = []
        while let used = try receive.nextUsed() { counts.append(used.writtenByteCount) }
        return counts
    }

    /// How many frames came back of the transmit queue.
    mutating func sent() throws -> Int {
        var count = 0
        while let used = try transmit.nextUsed() {
            #expect(used.writtenByteCount == 0)
            count += 1
        }
        return count
    }
}

extension NetHeader {
    /// A header that asks for a checksum, and for segments where a kind is named.
    static func offload(
        _ segmentation: UInt8 = 0, segment: UInt16 = 0, start: UInt16 = 34, offset: UInt16 = 16
    ) -> NetHeader {
        var header = NetHeader()
        header.flags = NetHeader.needsChecksum
        header.segmentation = segmentation
        header.segmentByteCount = segment
        header.checksumStart = start
        header.checksumOffset = offset
        return header
    }
}

/// Bytes of a frame; the same ones for the same length and seed.
func frameBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    return random.bytes(count)
}
