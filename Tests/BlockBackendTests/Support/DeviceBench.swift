import Glibc
import SharedMemory
import Synchronization
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

/// A device with its threads, and the driver's side of one of its queues, with real kicks and calls.
struct DeviceBench: ~Copyable {
    let memory: HostMemory
    let map: MemoryMap
    let layout: QueueLayout
    let features: VirtioFeatures
    let base: GuestAddress
    var driver: DriverQueue
    var kick: EventDescriptor
    var call: EventDescriptor

    /// Each request has 16 KiB: header, status, and data from 4096 on.
    static let slotByteCount = 16384
    let slotCount: Int
    private let dataOffset: Int
    private(set) var kicks = 0

    init(
        size: Int = 64, features: VirtioFeatures = [.blockFlush, .eventIndex], slotCount: Int = 16
    ) throws {
        let layout = QueueLayout(size: size, isPacked: features.contains(.packedRing))
        let dataOffset = (layout.byteCount + 4095) / 4096 * 4096
        let memory = try HostMemory.anonymous(
            byteCount: dataOffset + slotCount * Self.slotByteCount)
        let base = GuestAddress(0x40_0000)
        let map = MemoryMap(memory, at: base)
        let driver = try DriverQueue(layout, at: base, features: features, memoryMap: map)
        let (kick, call) = try (EventDescriptor(), EventDescriptor())
        self.layout = layout
        self.dataOffset = dataOffset
        self.memory = memory
        self.base = base
        self.map = map
        self.driver = driver
        self.kick = kick
        self.call = call
        self.features = features
        self.slotCount = slotCount
    }

    func setup(at position: QueuePosition? = nil) -> QueueSetup {
        QueueSetup(
            configuration: layout.configuration(at: base, features: features), memoryMap: map,
            position: position ?? .start(isPacked: layout.isPacked), kick: kick, call: call)
    }

    func offset(_ slot: Int) -> Int { dataOffset + slot * Self.slotByteCount }

    private func address(_ offset: Int) -> UInt64 { base.rawValue + UInt64(offset) }

    /// Makes a request of 4096 bytes in a slot.
    ///
    /// - Parameter shift: how far its payload is from where direct I/O wants it.
    mutating func submit(_ type: UInt32, sector: UInt64, slot: Int, shift: Int = 0) {
        let offset = offset(slot)
        memory.store(headerBytes(type, sector: sector).span, at: offset)
        memory.store(0xEE as UInt8, at: offset + 64)
        let parts = [
            GuestRange(address(offset), 16), GuestRange(address(offset + 4096 + shift), 4096),
            GuestRange(address(offset + 64), 1),
        ]
        let isAdded = driver.add(
            parts.span, readableCount: type == BlockHeader.read ? 1 : 2, tag: UInt64(slot))
        precondition(isAdded, "the queue has room")
    }

    mutating func publish() {
        if driver.publish() {
            kicks += 1
            kick.signal()
        }
    }

    func status(_ slot: Int) -> UInt8 { memory.load(UInt8.self, at: offset(slot) + 64) }

    /// Waits for the next used buffer, asleep: only the call wakes.
    ///
    /// - Returns: its slot; `nil` where nothing came in time.
    mutating func wait(milliseconds: Int32 = 5000) throws -> Int? {
        while true {
            if let used = try driver.nextUsed() { return Int(used.tag) }
            if driver.enableCalls() { continue }
            guard call.wait(timeoutMilliseconds: milliseconds) else { return nil }
        }
    }

    /// Makes a request and waits for its end.
    mutating func run(_ type: UInt32, sector: UInt64, slot: Int = 0) throws -> UInt8? {
        submit(type, sector: sector, slot: slot)
        publish()
        guard try wait() == slot else { return nil }
        return status(slot)
    }
}
