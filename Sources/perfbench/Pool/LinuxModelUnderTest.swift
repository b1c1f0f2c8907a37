import BasicContainers
import CPoolModels
import SharedMemory

/// The model of Linux's swiotlb.
///
/// It copies as Linux does: in at every map, out at an unmap from the device, all of the buffer each
/// time. Where nothing is to be copied, neither does it.
@safe struct LinuxModelUnderTest: ~Copyable, PoolUnderTest {
    private let pool: Pool
    // SAFETY: lives as long as `pool`.
    private let pointer: OpaquePointer
    private let thread: UInt32
    /// The first slots of mappings, or -1.
    private var cells: RigidArray<Int64>
    private var direction = POOL_MODEL_NO_COPY

    init(_ pool: Pool, thread: Int, cellCount: Int) {
        self.pool = pool
        unsafe pointer = pool.pointer
        self.thread = UInt32(thread)
        cells = RigidArray(repeating: -1, count: cellCount)
    }

    mutating func prepare(for operation: PoolOperation, liveCount: Int) {
        direction =
            operation.copiesIn
            ? POOL_MODEL_TO_DEVICE
            : operation.copiesOut ? POOL_MODEL_FROM_DEVICE : POOL_MODEL_NO_COPY
    }

    @inline(__always)
    mutating func map(_ buffer: GuestRange, into cell: Int) -> Bool {
        // SAFETY: `pool` keeps what `pointer` points at.
        let slot = unsafe linux_model_map(
            pointer, thread, buffer.address.rawValue, UInt64(buffer.byteCount), direction)
        cells[cell] = slot
        return slot >= 0
    }

    @inline(__always)
    mutating func unmap(_ cell: Int) {
        let slot = cells[cell]
        guard slot >= 0 else { return }
        // SAFETY: as above.
        unsafe linux_model_unmap(pointer, UInt64(slot), direction)
        cells[cell] = -1
    }
}

extension LinuxModelUnderTest {
    /// What the threads share.
    @safe final class Pool {
        // SAFETY: owned, from `init` to `deinit`.
        fileprivate let pointer: OpaquePointer

        init(_ memories: Memories, threadCount: Int) {
            var config = linux_model_config()
            config.slot_count = UInt64(memories.window.byteCount / PoolSizes.slotByteCount)
            config.thread_count = UInt32(threadCount)
            config.memory = memories.ofModels
            guard let pointer = unsafe linux_model_create(&config) else {
                preconditionFailure("the model of Linux's swiotlb can be made")
            }
            unsafe self.pointer = pointer
        }

        deinit {
            unsafe linux_model_destroy(pointer)
        }
    }
}
