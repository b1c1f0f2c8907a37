import SharedMemory
public import SwiotlbPool
public import Virtqueue

extension DriverQueue {
    /// A queue at the start of memory that the device sees for good.
    ///
    /// - Throws: where the memory is too short for it.
    @usableFromInline
    init(
        _ layout: QueueLayout, in memory: borrowing CoherentAllocation, features: VirtioFeatures
    ) throws(QueueFault) {
        let range = memory.deviceRange
        guard range.byteCount >= layout.byteCount else {
            throw .invalidAddress(area: "descriptor")
        }
        let map: MemoryMap
        do throws(MemoryMap.Fault) {
            map = try MemoryMap([
                MemoryMap.Region(
                    guestAddress: range.address, memory: memory.memory,
                    memoryOffset: memory.memoryOffset, byteCount: layout.byteCount)
            ])
        } catch {
            throw .invalidAddress(area: "descriptor")
        }
        self = try DriverQueue(layout, at: range.address, features: features, memoryMap: map)
    }
}
