import SharedMemory

@testable import Virtqueue

/// A queue of which a test writes one side, or both, by hand: it can do what no honest side does.
///
/// The areas lie apart, with bytes between that nobody may touch.
struct RawRing: Sendable {
    static let base = GuestAddress(0x10_0000)
    /// Where tables and payloads go, in bytes from ``base``.
    static let spareByteCount = 32768

    let memory: HostMemory
    let configuration: QueueConfiguration
    let descriptorOffset: Int
    let driverOffset: Int
    let deviceOffset: Int
    let spareOffset: Int

    init(size: Int, features: VirtioFeatures = []) throws {
        let areas = QueueConfiguration.areaByteCounts(
            size: size, isPacked: features.contains(.packedRing))
        func after(_ offset: Int, _ byteCount: Int) -> Int { (offset + byteCount + 127) / 64 * 64 }
        descriptorOffset = 64
        driverOffset = after(descriptorOffset, areas.descriptor)
        deviceOffset = after(driverOffset, areas.driver)
        spareOffset = after(deviceOffset, areas.device)
        memory = try .anonymous(byteCount: spareOffset + Self.spareByteCount)
        configuration = QueueConfiguration(
            size: size, descriptorArea: Self.address(descriptorOffset),
            driverArea: Self.address(driverOffset), deviceArea: Self.address(deviceOffset),
            features: features)
    }

    var map: MemoryMap { MemoryMap(memory, at: Self.base) }
    var isPacked: Bool { configuration.isPacked }

    static func address(_ offset: Int) -> GuestAddress {
        GuestAddress(base.rawValue + UInt64(offset))
    }

    func makeDevice(
        position: QueuePosition? = nil, inflight: InflightRegion? = nil
    ) throws(QueueFault) -> DeviceQueue {
        try DeviceQueue(
            configuration, memoryMap: map, position: position ?? .start(isPacked: isPacked),
            inflight: inflight)
    }

    /// Writes a descriptor of a split ring or, with `table`, of a table at that offset.
    func describe(
        _ index: Int, at address: UInt64 = 0x1000, length: UInt32 = 8, flags: UInt16 = 0,
        next: UInt16 = 0, table: Int? = nil
    ) {
        let offset = (table ?? descriptorOffset) + 16 * index
        memory.store(address, at: offset)
        memory.store(length, at: offset + 8)
        memory.store(flags, at: offset + 12)
        memory.store(next, at: offset + 14)
    }

    /// Writes a descriptor of a packed ring or table.
    func describePacked(
        _ index: Int, at address: UInt64 = 0x1000, length: UInt32 = 8, id: UInt16 = 0,
        flags: UInt16 = 0, table: Int? = nil
    ) {
        describe(index, at: address, length: length, flags: id, next: flags, table: table)
    }

    /// Puts heads into the available ring, and shows them.
    func offer(_ heads: [UInt16]) {
        var index = memory.load(UInt16.self, at: driverOffset + 2)
        for head in heads {
            let slot = Int(index) % configuration.size
            memory.store(head, at: driverOffset + 4 + 2 * slot)
            index &+= 1
        }
        memory.store(index, at: driverOffset + 2)
    }

    var usedIndex: UInt16 { memory.load(at: deviceOffset + 2) }

    func usedEntry(_ index: UInt16) -> (id: UInt32, length: UInt32) {
        let offset = deviceOffset + 4 + 8 * (Int(index) % configuration.size)
        return (memory.load(at: offset), memory.load(at: offset + 4))
    }

    /// What a device has put into a place of a packed ring.
    func packedEntry(_ index: Int) -> (id: UInt16, length: UInt32, flags: UInt16) {
        let offset = descriptorOffset + 16 * index
        return (
            memory.load(at: offset + 12), memory.load(at: offset + 8), memory.load(at: offset + 14)
        )
    }
}

/// Flags of packed descriptors in the first lap, and the second.
enum Lap {
    static let firstAvailable: UInt16 = 0x80
    static let firstUsed: UInt16 = 0x8080
    static let secondAvailable: UInt16 = 0x8000
    static let secondUsed: UInt16 = 0
}

enum Flag {
    static let next: UInt16 = 1
    static let write: UInt16 = 2
    static let indirect: UInt16 = 4
}
