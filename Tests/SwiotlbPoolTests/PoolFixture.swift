import SharedMemory
import TestSupport

@testable import SwiotlbPool

let slotByteCount = PoolGeometry.standard.slotByteCount
let segmentByteCount = PoolGeometry.standard.segmentByteCount

/// A pool over a window, and private memory of 1 MiB at guest address 0x100000.
struct PoolFixture {
    static let memoryAddress: UInt64 = 0x10_0000

    let window: HostMemory
    let memory: HostMemory
    let pool: BouncePool

    /// - Parameter configure: changes the configuration, which has one area.
    init(
        slotCount: Int = 256, areaCount: Int = 1, windowAddress: UInt64 = 1 << 32,
        memoryByteCount: Int = 1 << 20, _ configure: (inout PoolConfiguration) -> Void = { _ in }
    ) throws {
        var configuration = PoolConfiguration()
        configuration.areaCount = areaCount
        configure(&configuration)
        window = try HostMemory.anonymous(
            byteCount: slotCount * configuration.geometry.slotByteCount)
        memory = try HostMemory.anonymous(byteCount: memoryByteCount)
        pool = try BouncePool(
            window: window, at: GuestAddress(windowAddress),
            privateMemory: MemoryMap(memory, at: GuestAddress(Self.memoryAddress)),
            configuration: configuration)
    }

    /// A buffer `offset` bytes into the private memory.
    func buffer(_ offset: Int, _ byteCount: Int) -> GuestRange {
        GuestRange(
            address: GuestAddress(UInt64(Int(Self.memoryAddress) + offset)), byteCount: byteCount)
    }

    /// Where a mapping's payload begins in the window.
    func windowOffset(_ range: GuestRange) -> Int {
        Int(range.address.rawValue - pool.windowAddress.rawValue)
    }

    /// Which slots are free, once every cached run has been collected.
    var freeSlots: [Bool] {
        _ = pool.waiters.collectCaches()
        return (0..<pool.layout.slotLimit).map { pool.allocator.bitmap.isFree($0) }
    }

    var usedSlotCount: Int { pool.statistics.usedSlotCount }
}

/// Holds a mapping where a value that cannot be copied cannot be held: in arrays.
final class MappingBox {
    private var mapping: DMAMapping?
    let buffer: GuestRange
    let device: GuestRange
    let direction: DMADirection
    let slots: SlotRun

    init(_ mapping: consuming DMAMapping) {
        buffer = mapping.buffer
        device = mapping.deviceRange
        direction = mapping.direction
        slots = mapping.slots
        self.mapping = consume mapping
    }

    func take() -> DMAMapping {
        mapping.take()!
    }

    func syncForDevice(_ mapper: inout BounceMapper, offset: Int, byteCount: Int) {
        let mapping = take()
        mapper.syncForDevice(mapping, offset: offset, byteCount: byteCount)
        self.mapping = consume mapping
    }

    func syncForCPU(_ mapper: inout BounceMapper, offset: Int, byteCount: Int) {
        let mapping = take()
        mapper.syncForCPU(mapping, offset: offset, byteCount: byteCount)
        self.mapping = consume mapping
    }
}

extension BounceMapper {
    /// Maps into a box, or says why not.
    mutating func attempt(
        _ buffer: GuestRange, _ direction: DMADirection = .toDevice
    ) -> Result<MappingBox, MapRefusal> {
        do throws(MapRefusal) {
            return .success(MappingBox(try map(buffer, direction)))
        } catch {
            return .failure(error)
        }
    }

    mutating func box(
        _ buffer: GuestRange, _ direction: DMADirection = .toDevice
    ) throws -> MappingBox {
        try attempt(buffer, direction).get()
    }

    mutating func end(_ box: MappingBox, usedByteCount: Int? = nil) {
        unmap(box.take(), usedByteCount: usedByteCount ?? box.buffer.byteCount)
    }

    /// The reason of a refusal; a mapping made by mistake is ended.
    mutating func refusal(_ buffer: GuestRange, _ direction: DMADirection = .toDevice)
        -> MapRefusal?
    {
        switch attempt(buffer, direction) {
        case .failure(let reason): return reason
        case .success(let box):
            end(box)
            return nil
        }
    }
}

/// What Linux's rules say a mapping needs, written from reference/swiotlb.md without looking at
/// `SlotRequest`: the slots where it may begin are found by trying each.
struct PlacementRule {
    let kept: UInt64
    let start: UInt64
    let offset: UInt64
    let slotCount: Int
    private let address: UInt64

    init(
        address: UInt64, byteCount: Int, constraints: DMAConstraints, slotByteCount: UInt64 = 2048
    ) {
        self.address = address
        kept = constraints.minimumAlignmentMask
        let padding = constraints.allocationAlignmentMask + 1
        let isPage = byteCount >= 4096 && padding == 1 && kept == 0
        start = isPage ? 4095 : padding - 1
        offset = address % (kept + 1) % max(padding, slotByteCount)
        var total = offset + UInt64(byteCount)
        if total % padding != 0 { total += padding - total % padding }
        slotCount = Int((total + slotByteCount - 1) / slotByteCount)
    }

    /// Whether a run may begin at this device address.
    func allows(startAt device: UInt64) -> Bool {
        device % (start + 1) == 0 && (device + offset) % (kept + 1) == address % (kept + 1)
    }
}
