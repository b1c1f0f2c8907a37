import BasicContainers
import SharedMemory
import TestSupport

@testable import Virtqueue

/// A queue with an in-flight region whose device can be killed after any of its stores.
struct CrashScenario: ~Copyable {
    /// A buffer that the driver has shown and not got back.
    struct Open: Equatable {
        var buffer: TestBuffer
        /// The descriptors of a split ring that it takes; as many of a packed one.
        var descriptors: [Int]
    }

    struct Mismatch: Error, CustomStringConvertible {
        var description: String
    }

    let layout: QueueLayout
    let configuration: QueueConfiguration
    let regionOffset: Int
    let byteCount: Int
    let memory: HostMemory
    /// What a successor is tried on.
    let scratch: HostMemory

    var driver: DriverQueue
    var device: RawDevice
    var random: SeededGenerator

    var open: [Open] = []
    var added: [Open] = []
    var taken: [(token: ChainToken, buffer: TestBuffer)] = []
    /// Given back and not published.
    var pending: [TestBuffer] = []
    var pendingDescriptorCount = 0
    /// Where the driver looks for the next used buffer, and puts the next available one (packed).
    var used = PackedPosition(rawValue: 0x8000)
    var available = PackedPosition(rawValue: 0x8000)
    var usedIndex: UInt16
    var stateCount = 0

    init(size: Int, features: VirtioFeatures, seed: UInt64) throws {
        let tableLength = features.contains(.indirectDescriptors) ? min(size, 3) : 0
        let layout = QueueLayout(
            size: size, isPacked: features.contains(.packedRing), tableLength: tableLength)
        let configuration = layout.configuration(at: RawRing.base, features: features)
        let byteCount =
            layout.byteCount
            + InflightRegion.byteCount(queueSize: size, isPacked: layout.isPacked)
        let whole = (byteCount + 4095) / 4096 * 4096
        let memory = try HostMemory.anonymous(byteCount: whole)
        let start: UInt16 = 0xfff0
        if !layout.isPacked {
            memory.store(start, at: layout.driverOffset + 2)
            memory.store(start, at: layout.deviceOffset + 2)
        }
        var driver = try DriverQueue(
            layout, at: RawRing.base, features: features,
            memoryMap: MemoryMap(memory, at: RawRing.base))
        (driver.available, driver.used, driver.seen) = (start, start, start)
        let scratch = try HostMemory.anonymous(byteCount: whole)
        let device = RawDevice(
            try Self.makeDevice(configuration, memory, regionOffset: layout.byteCount))
        self.layout = layout
        self.configuration = configuration
        self.byteCount = byteCount
        regionOffset = layout.byteCount
        self.memory = memory
        self.scratch = scratch
        self.driver = driver
        self.device = device
        random = SeededGenerator(seed: seed)
        usedIndex = start
    }

    static func makeDevice(
        _ configuration: QueueConfiguration, _ memory: HostMemory, regionOffset: Int
    ) throws(QueueFault) -> DeviceQueue {
        guard
            let region = InflightRegion(
                memory: memory, offset: regionOffset, queueSize: configuration.size,
                isPacked: configuration.isPacked)
        else { throw .invalidInflightRegion }
        // A frontend that was not told where the device is says where it began.
        return try DeviceQueue(
            configuration, memoryMap: MemoryMap(memory, at: RawRing.base),
            position: .start(isPacked: configuration.isPacked), inflight: region)
    }

    private var isInOrder: Bool { configuration.features.contains(.inOrder) }

    /// One random step of either side, and every crash in it.
    mutating func step() throws {
        switch random.below(8) {
        case 0, 1: try add()
        case 2, 3:
            _ = driver.publish()
            open += added
            added = []
        case 4, 5: try take()
        case 6: try use()
        default: try publish()
        }
    }

    private mutating func add() throws {
        let buffer = TestBuffer.random(partCountMax: min(layout.size, 3), using: &random)
        let free = driver.free
        let freeCount = driver.freeDescriptorCount
        guard driver.add(buffer.parts.span, readableCount: buffer.readableCount, tag: 0) else {
            return
        }
        let count = freeCount - driver.freeDescriptorCount
        var descriptors: [Int] = []
        var index = Int(free)
        for _ in 0..<count {
            descriptors.append(index)
            if !layout.isPacked { index = Int(driver.buffers[index].next) }
        }
        available.advance(by: count, size: layout.size)
        added.append(Open(buffer: buffer, descriptors: descriptors))
    }

    private mutating func take() throws {
        var isTaken = false
        let states = try StoreTracer.states(of: memory, byteCount: byteCount) {
            isTaken = try device.queue.next(&device.chain)
        }
        guard isTaken == (taken.count + pending.count < open.count) else {
            throw Mismatch(description: "taken \(isTaken)")
        }
        if isTaken { taken.append((device.chain.token, device.chain.buffer)) }
        for state in states { try check(state, open) }
    }

    private mutating func use() throws {
        guard !taken.isEmpty else { return }
        let (token, buffer) = taken.remove(at: isInOrder ? 0 : random.below(taken.count))
        let written = [0, buffer.writableByteCount][random.below(2)]
        let states = try StoreTracer.states(of: memory, byteCount: byteCount) {
            device.queue.use(token, writtenByteCount: written)
        }
        pending.append(buffer)
        pendingDescriptorCount += Int(token.descriptorCount)
        for state in states { try check(state, open) }
    }

    private mutating func publish() throws {
        let states = try StoreTracer.states(of: memory, byteCount: byteCount) {
            _ = device.queue.publish()
        }
        let rest = open.filter { !pending.contains($0.buffer) }
        let before = (used, usedIndex)
        for state in states {
            (used, usedIndex) = before
            guard !pending.isEmpty, isPublished(state) else {
                try check(state, open)
                continue
            }
            used.advance(by: pendingDescriptorCount, size: layout.size)
            usedIndex &+= UInt16(pending.count)
            try check(state, rest)
        }
        guard pending.isEmpty || (used, usedIndex) != before else {
            throw Mismatch(description: "what was published is not there")
        }
        open = rest
        while try driver.nextUsed() != nil {}
        pending = []
        pendingDescriptorCount = 0
    }

    /// Whether the driver sees the batch that is being published.
    private func isPublished(_ state: [UInt8]) -> Bool {
        func word(_ offset: Int) -> UInt16 {
            UInt16(state[offset]) | UInt16(state[offset + 1]) << 8
        }
        return layout.isPacked
            ? word(16 * Int(used.index) + 14) & 0x8080 == used.usedFlags
            : word(layout.deviceOffset + 2) != usedIndex
    }
}
