import BasicContainers
import CPoolModels
import SharedMemory

/// The C twin of the pool's algorithm.
@safe struct TwinUnderTest: ~Copyable, PoolUnderTest {
    private let pool: Pool
    // SAFETY: lives as long as `pool`.
    private let mapper: OpaquePointer
    private var cells: RigidArray<c_twin_mapping>
    private var direction = POOL_MODEL_FROM_DEVICE
    private var copiesOut = false

    init(_ pool: Pool, thread: Int, cellCount: Int) {
        self.pool = pool
        unsafe mapper = c_twin_mapper_at(pool.pointer, UInt32(thread))
        cells = RigidArray(repeating: c_twin_mapping(), count: cellCount)
    }

    mutating func prepare(for operation: PoolOperation, liveCount: Int) {
        direction = operation.copiesIn ? POOL_MODEL_TO_DEVICE : POOL_MODEL_FROM_DEVICE
        copiesOut = operation.copiesOut
    }

    @inline(__always)
    mutating func map(_ buffer: GuestRange, into cell: Int) -> Bool {
        // SAFETY: `pool` keeps the mapper; this is the only thread that uses it.
        unsafe c_twin_map(
            mapper, buffer.address.rawValue, UInt64(buffer.byteCount), direction, &cells[cell])
            == POOL_MODEL_MAPPED
    }

    @inline(__always)
    mutating func unmap(_ cell: Int) {
        guard cells[cell].state != 0 else { return }
        // SAFETY: as above.
        let byteCount = copiesOut ? cells[cell].shape >> 32 : 0
        unsafe c_twin_unmap(mapper, &cells[cell], byteCount)
    }
}

extension TwinUnderTest {
    /// What the threads share.
    @safe final class Pool {
        // SAFETY: owned, from `init` to `deinit`.
        fileprivate let pointer: OpaquePointer

        init(_ memories: Memories, threadCount: Int) {
            var config = c_twin_config()
            config.slot_count = UInt64(memories.window.byteCount / PoolSizes.slotByteCount)
            config.slot_shift = UInt32(PoolSizes.slotByteCount.trailingZeroBitCount)
            config.segment_shift = UInt32(PoolSizes.segmentSlotCount.trailingZeroBitCount)
            config.area_count = UInt32(threadCount)
            config.mapper_count = UInt32(threadCount)
            config.memory = memories.ofModels
            guard let pointer = unsafe c_twin_create(&config) else {
                preconditionFailure("the C twin can be made")
            }
            unsafe self.pointer = pointer
        }

        deinit {
            unsafe c_twin_destroy(pointer)
        }
    }
}

extension Memories {
    /// The memories as the C models are told of them.
    var ofModels: pool_model_memory {
        pool_model_memory(
            private_address: GuestBuffers.base.rawValue,
            private_byte_count: UInt64(guest.byteCount),
            private_host_address: guest.hostRange.address,
            window_address: Self.windowBase.rawValue,
            window_host_address: window.hostRange.address)
    }
}
