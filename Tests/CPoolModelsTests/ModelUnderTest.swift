import CPoolModels

/// One of the models, as the tests see it. Slots and buffers only: nothing is copied.
protocol ModelUnderTest: AnyObject {
    /// Where slots come from on behalf of each thread.
    var threadCount: Int { get }

    /// Maps a buffer; `nil` where it is refused.
    func map(thread: Int, byteCount: Int) -> Mapped?
    func unmap(_ mapped: Mapped, thread: Int)
    /// Whether all that the model derives is what recomputing it gives.
    var isConsistent: Bool { get }
    /// Slots in no mapping.
    var freeSlotCount: Int { get }
}

/// A live mapping of a model.
struct Mapped: Sendable {
    var firstSlot: Int
    var slotCount: Int
    /// What the C twin wants back.
    var twin = c_twin_mapping()

    var slots: Range<Int> { firstSlot..<firstSlot + slotCount }
}

let slotByteCount = 2048

/// The C twin, over a window at an address far above its buffers.
@safe final class Twin: ModelUnderTest, @unchecked Sendable {
    let threadCount: Int
    // SAFETY: owned, from `init` to `deinit`; threads use mappers of their own.
    private let pool: OpaquePointer

    init?(slotCount: Int, threadCount: Int, segmentShift: Int = 7) {
        self.threadCount = threadCount
        var config = c_twin_config()
        config.slot_count = UInt64(slotCount)
        config.slot_shift = 11
        config.segment_shift = UInt32(segmentShift)
        config.area_count = UInt32(threadCount)
        config.mapper_count = UInt32(threadCount)
        config.memory.private_byte_count = 1 << 30
        config.memory.window_address = 1 << 40
        guard let pool = unsafe c_twin_create(&config) else { return nil }
        unsafe self.pool = pool
    }

    deinit { unsafe c_twin_destroy(pool) }

    func mapper(_ thread: Int) -> OpaquePointer {
        unsafe c_twin_mapper_at(pool, UInt32(thread))
    }

    func map(thread: Int, byteCount: Int) -> Mapped? {
        var mapping = c_twin_mapping()
        let outcome = unsafe c_twin_map(
            mapper(thread), 0, UInt64(byteCount), POOL_MODEL_FROM_DEVICE, &mapping)
        guard outcome == POOL_MODEL_MAPPED else { return nil }
        let slot = Int(mapping.device_address - 1 << 40) / slotByteCount
        return Mapped(
            firstSlot: slot, slotCount: Int(mapping.state >> 16 & 0xFFFF), twin: mapping)
    }

    func unmap(_ mapped: Mapped, thread: Int) {
        var mapping = mapped.twin
        unsafe c_twin_unmap(mapper(thread), &mapping, 0)
    }

    var isConsistent: Bool { unsafe c_twin_is_consistent(pool) }
    var freeSlotCount: Int { unsafe Int(c_twin_unmapped_slot_count(pool)) }
    func counters(_ thread: Int) -> c_twin_counters { unsafe c_twin_counters_of(mapper(thread)) }
}

/// The model of Linux's swiotlb.
@safe final class LinuxModel: ModelUnderTest, @unchecked Sendable {
    let threadCount: Int
    // SAFETY: owned, from `init` to `deinit`; the model locks its areas.
    private let pool: OpaquePointer

    init?(slotCount: Int, threadCount: Int, countsExactly: Bool = false) {
        self.threadCount = threadCount
        var config = linux_model_config()
        config.slot_count = UInt64(slotCount)
        config.thread_count = UInt32(threadCount)
        config.counts_exactly = countsExactly
        guard let pool = unsafe linux_model_create(&config) else { return nil }
        unsafe self.pool = pool
    }

    deinit { unsafe linux_model_destroy(pool) }

    func map(thread: Int, byteCount: Int) -> Mapped? {
        let slot = unsafe linux_model_map(
            pool, UInt32(thread), 0, UInt64(byteCount), POOL_MODEL_NO_COPY)
        guard slot >= 0 else { return nil }
        return Mapped(
            firstSlot: Int(slot), slotCount: (byteCount + slotByteCount - 1) / slotByteCount)
    }

    func unmap(_ mapped: Mapped, thread: Int) {
        unsafe linux_model_unmap(pool, UInt64(mapped.firstSlot), POOL_MODEL_NO_COPY)
    }

    var isConsistent: Bool { unsafe linux_model_is_consistent(pool) }
    var slotCount: Int { unsafe Int(linux_model_slot_count(pool)) }
    var freeSlotCount: Int { unsafe slotCount - Int(linux_model_used_slot_count(pool)) }
}
