import SharedMemory

@testable import Virtqueue

/// Where everything is. The rings fit for the sizes that ``ChainSetup`` prefers.
enum ChainMemory {
    static let base: UInt64 = 0x10_0000
    static let descriptors = 0
    static let driver = 0x1000
    static let device = 0x2000
    static let tables = 0x3000

    /// The rings in its first region; the second follows in the guest's addresses, not here.
    static let rings = HostMemory.forFuzzing(byteCount: 0x10000)
    static let inflight = HostMemory.forFuzzing(byteCount: 0x4000)
    static let log = HostMemory.forFuzzing(byteCount: 0x1000)

    static let map: MemoryMap = {
        func region(_ address: UInt64, _ offset: Int, _ byteCount: Int) -> MemoryMap.Region {
            MemoryMap.Region(
                guestAddress: GuestAddress(base + address), memory: rings, memoryOffset: offset,
                byteCount: byteCount)
        }
        do {
            return try MemoryMap([region(0, 0, 0x4000), region(0x4000, 0x6000, 0x2000)])
        } catch {
            fatalError("\(error)")
        }
    }()

    static func clear() {
        for memory in [rings, inflight, log] { memory.clear() }
    }
}

/// What a queue is made with.
struct ChainSetup {
    let configuration: QueueConfiguration
    let position: QueuePosition
    let chainCapacity: Int
    let inflight: InflightRegion?
    let dirtyLog: DirtyLog?
    let usedRingLogAddress: GuestAddress?

    init(_ input: inout FuzzInput) {
        let flags = input.next(UInt8.self)
        var features: VirtioFeatures = []
        if flags & 1 != 0 { features.insert(.packedRing) }
        if flags & 2 != 0 { features.insert(.indirectDescriptors) }
        if flags & 4 != 0 { features.insert(.eventIndex) }
        if flags & 8 != 0 { features.insert(.inOrder) }
        var size = 1 << input.below(9)
        var areas = [ChainMemory.descriptors, ChainMemory.driver, ChainMemory.device]
            .map { GuestAddress(ChainMemory.base + UInt64($0)) }
        chainCapacity = 1 + input.below(24)
        if flags & 0x10 != 0 {
            position = QueuePosition(available: input.next(), used: input.next())
        } else {
            position = .start(isPacked: features.contains(.packedRing))
        }
        if flags & 0x20 != 0 {
            // Rings that nobody would set up.
            size = Int(input.next(UInt16.self))
            for index in areas.indices {
                areas[index] = GuestAddress(
                    input.below(2) == 0
                        ? ChainMemory.base &+ UInt64(input.next(UInt16.self)) : input.next())
            }
        }
        configuration = QueueConfiguration(
            size: size, descriptorArea: areas[0], driverArea: areas[1], deviceArea: areas[2],
            features: features)
        if flags & 0x40 != 0 {
            let rowCount = 1 << (input.below(16) == 0 ? input.below(16) : size.trailingZeroBitCount)
            inflight = InflightRegion(
                memory: ChainMemory.inflight, offset: 64 * input.below(4), queueSize: rowCount,
                isPacked: features.contains(.packedRing))
        } else {
            inflight = nil
        }
        if flags & 0x80 != 0 {
            let byteCount = Int(input.next(UInt16.self)) % (ChainMemory.log.byteCount + 1)
            let slack = ChainMemory.log.byteCount - byteCount
            dirtyLog = DirtyLog(
                memory: ChainMemory.log, offset: Int(input.next(UInt16.self)) % (slack + 1),
                byteCount: byteCount)
            usedRingLogAddress = GuestAddress(
                input.below(2) == 0 ? UInt64(input.next(UInt32.self)) : input.next())
        } else {
            dirtyLog = nil
            usedRingLogAddress = nil
        }
    }
}
