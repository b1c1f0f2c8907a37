public import SharedMemory
import Synchronization

extension BouncePool {
    /// Allocates memory in the window that driver and device share for good: for rings
    /// (`swiotlb_alloc`, `dma_alloc_coherent`).
    ///
    /// - Parameters:
    ///   - byteCount: the length; as long as an area at most.
    ///   - alignment: a power of two, at most a segment; page alignment is the least there is.
    /// - Returns: zeroed memory, which belongs to no owner and counts against no quota. It does not
    ///   stand back behind reservations: rings are made before there is anything to wait for.
    /// - Throws: ``PoolError/impossibleAllocation``, or ``PoolError/noSpace(slotCount:)``.
    public func allocateCoherent(
        byteCount: Int, alignment: Int = 4096
    ) throws(PoolError) -> CoherentAllocation {
        let geometry = layout.geometry
        guard byteCount > 0, alignment > 0, alignment & (alignment - 1) == 0,
            alignment <= geometry.segmentByteCount
        else { throw .impossibleAllocation }
        let slotByteCount = geometry.slotByteCount
        let count = (byteCount - 1) / slotByteCount + 1
        guard count <= 65535, count <= layout.segmentsPerShardMax << layout.segmentShift else {
            throw .impossibleAllocation
        }
        let request = SlotRequest(
            slotCount: count,
            stride: max(max(alignment, PoolGeometry.pageByteCount) / slotByteCount, 1))
        // From the last area: the first ones are what mappers begin with.
        guard let first = claim(request, preferring: areaCount - 1) else {
            throw .noSpace(slotCount: count)
        }
        let run = SlotRun(first: first, count: count)
        let state = table.begin(run, .coherent)
        table.write(
            MappingRecord(
                bufferAddress: 0, byteCount: byteCount, offset: 0, epoch: gate.epoch,
                mapper: 0xffff,
                direction: .bidirectional, bufferCount: 1), at: first)
        lastOwners?.set(run, SlotOwners.nobody)
        let extent = first >> layout.extentShift
        guard let memory = memory(ofExtent: extent) else {
            preconditionFailure("a slot was claimed, so its extent exists")
        }
        coherentSlotCount.wrappingAdd(count, ordering: .relaxed)
        let offset = (first - extent << layout.extentShift) * slotByteCount
        memory.fill(at: offset, byteCount: count * slotByteCount, with: 0)
        return CoherentAllocation(
            pool: self, run: run, state: state, memory: memory, memoryOffset: offset,
            deviceRange: GuestRange(
                address: GuestAddress(windowAddress.rawValue + UInt64(first * slotByteCount)),
                byteCount: byteCount))
    }
}

/// Memory of the window that driver and device share until it is dropped.
///
/// The device must have forgotten it by then: its slots are free afterwards.
public struct CoherentAllocation: ~Copyable, Sendable {
    private let pool: BouncePool
    private let run: SlotRun
    private let state: RunState
    /// The extent that the allocation is in.
    public let memory: HostMemory
    /// Where in ``memory`` it begins.
    public let memoryOffset: Int
    /// Where the device sees it.
    public let deviceRange: GuestRange

    init(
        pool: BouncePool, run: SlotRun, state: RunState, memory: HostMemory, memoryOffset: Int,
        deviceRange: GuestRange
    ) {
        self.pool = pool
        self.run = run
        self.state = state
        self.memory = memory
        self.memoryOffset = memoryOffset
        self.deviceRange = deviceRange
    }

    deinit {
        if pool.configuration.scrub != .never {
            memory.fill(
                at: memoryOffset, byteCount: run.count * pool.layout.geometry.slotByteCount, with: 0
            )
        }
        pool.coherentSlotCount.wrappingSubtract(run.count, ordering: .relaxed)
        pool.free(run, state)
    }
}
