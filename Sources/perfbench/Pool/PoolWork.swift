import ArgumentParser
import BasicContainers
import SharedMemory
import SwiotlbPool

/// What is done to the pool, over and over.
enum PoolOperation: String, CaseIterable, Encodable, ExpressibleByArgument {
    /// Map and unmap, nothing copied: the allocator alone.
    case mapUnmap = "map-unmap"
    /// Map and unmap of a buffer to the device, copied in.
    case mapCopyInUnmap = "map-copy-in-unmap"
    /// Map and unmap of a buffer from the device, copied out.
    case mapUnmapCopyOut = "map-unmap-copy-out"
}

/// Mappings made and ended without any I/O, a fixed number of them live at any time.
struct PoolWork: ~Copyable {
    private var mapper: BounceMapper
    private var live: RigidArray<DMAMapping?>
    /// The oldest live mapping, which ends next.
    private var oldest = 0

    init(mapper: consuming BounceMapper, liveCount: Int) {
        self.mapper = mapper
        live = RigidArray(capacity: liveCount)
        for _ in 0..<liveCount { live.append(nil) }
    }

    /// CPU nanoseconds for one mapping made and one ended.
    mutating func measure(
        _ operation: PoolOperation, buffers: inout GuestBuffers, seconds: Double
    ) throws(MapRefusal) -> Double {
        let direction: DMADirection = operation == .mapCopyInUnmap ? .toDevice : .fromDevice
        let used = operation == .mapUnmapCopyOut ? buffers.byteCount : 0
        let cost = try cpuNanosecondsPerOperation(seconds: seconds) { count throws(MapRefusal) in
            for _ in 0..<count {
                try turn(buffers.next(), direction, usedByteCount: used)
            }
        }
        unmapAll()
        return cost
    }

    @inline(__always)
    private mutating func turn(
        _ buffer: GuestRange, _ direction: DMADirection, usedByteCount: Int
    ) throws(MapRefusal) {
        if let mapping = live[oldest].take() {
            mapper.unmap(mapping, usedByteCount: usedByteCount)
        }
        live[oldest] = try mapper.map(buffer, direction)
        oldest = oldest + 1 == live.count ? 0 : oldest + 1
    }

    private mutating func unmapAll() {
        for index in 0..<live.count {
            if let mapping = live[index].take() { mapper.unmap(mapping, usedByteCount: 0) }
        }
    }
}
