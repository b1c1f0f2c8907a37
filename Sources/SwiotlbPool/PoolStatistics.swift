import Synchronization

/// What a pool did and holds. Exact while no mapper is in a call.
public struct PoolStatistics: Equatable, Sendable {
    /// Slots of the pool (`io_tlb_nslabs`).
    public var slotCount = 0
    /// Slots in mappings, pads included (`io_tlb_used`).
    public var usedSlotCount = 0
    /// Mappings made.
    public var mapCount = 0
    /// Mappings ended.
    public var unmapCount = 0
    /// Maps refused because no run of slots was free.
    public var refusalCount = 0
    /// Mappings that another area than the mapper's own served.
    public var spillCount = 0
    /// Bytes copied into the window, at map and at sync for device.
    public var copiedInByteCount = 0
    /// Bytes copied out of the window, at unmap and at sync for CPU.
    public var copiedOutByteCount = 0
}

/// One mapper's share of the statistics: written by its thread alone, read by any.
///
/// An addition is a load and a store, without a locked instruction, and the padding keeps the
/// counters of two threads out of one pair of cache lines.
final class MapperCounters: Sendable {
    private let leadingPad = InlineArray<14, UInt64>(repeating: 0)
    let mapCount = Counter()
    let unmapCount = Counter()
    let refusalCount = Counter()
    let spillCount = Counter()
    let copiedInByteCount = Counter()
    let copiedOutByteCount = Counter()
    private let trailingPad = InlineArray<16, UInt64>(repeating: 0)

    struct Counter: ~Copyable, Sendable {
        private let value = Atomic(0)

        func add(_ amount: Int) {
            // Relaxed, not a read-modify-write: there is one writer.
            value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
        }

        var current: Int { value.load(ordering: .relaxed) }
    }

    func add(to total: inout PoolStatistics) {
        total.mapCount += mapCount.current
        total.unmapCount += unmapCount.current
        total.refusalCount += refusalCount.current
        total.spillCount += spillCount.current
        total.copiedInByteCount += copiedInByteCount.current
        total.copiedOutByteCount += copiedOutByteCount.current
    }
}
