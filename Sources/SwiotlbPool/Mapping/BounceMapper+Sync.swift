import BasicContainers
import SharedMemory

#if BOUNCE_SLOWDOWN_TIME
import CSlowdown
#endif

extension BounceMapper {
    /// Copies a part of the buffer into the window (`swiotlb_sync_single_for_device`); nothing
    /// happens for a mapping from the device, whose window bytes are the device's.
    ///
    /// - Precondition: the part lies inside the buffer.
    public mutating func syncForDevice(
        _ mapping: borrowing DMAMapping, offset: Int, byteCount: Int
    ) {
        checkPart(of: mapping, offset, byteCount)
        guard mapping.direction.copiesIn, byteCount > 0 else { return }
        copyIn(mapping, offset: offset, byteCount: byteCount)
    }

    /// Copies a part of the window into the buffer (`swiotlb_sync_single_for_cpu`); nothing happens
    /// for a mapping to the device.
    ///
    /// - Precondition: the part lies inside the buffer.
    public mutating func syncForCPU(
        _ mapping: borrowing DMAMapping, offset: Int, byteCount: Int
    ) {
        checkPart(of: mapping, offset, byteCount)
        guard mapping.direction.copiesOut, byteCount > 0 else { return }
        copyOut(mapping, offset: offset, byteCount: byteCount)
    }

    private mutating func checkPart(
        of mapping: borrowing DMAMapping, _ offset: Int, _ byteCount: Int
    ) {
        check(mapping)
        precondition(
            offset >= 0 && byteCount >= 0 && offset <= mapping.byteCount
                && byteCount <= mapping.byteCount - offset,
            "a sync stays inside the mapping")
    }

    @inline(never)
    mutating func copyIn(_ mapping: borrowing DMAMapping) {
        copyIn(mapping, offset: 0, byteCount: mapping.byteCount)
    }

    @inline(never)
    mutating func copyOut(_ mapping: borrowing DMAMapping, byteCount: Int) {
        copyOut(mapping, offset: 0, byteCount: byteCount)
    }

    /// Copies a part into the window, whatever the direction.
    mutating func copyIn(_ mapping: borrowing DMAMapping, offset: Int, byteCount: Int) {
        #if BOUNCE_SLOWDOWN_TIME
        let begin = slowdown_begin(byteCount, 0)
        defer { slowdown_end(byteCount, 0, begin) }
        #endif
        learnExtentsIfChanged()
        let privateMemory = privateMemory
        forEachPiece(of: mapping, offset, byteCount) { piece, window in
            // SAFETY: the pool keeps an extent's memory while slots of it are claimed. Cannot fail:
            // the buffer was found in private memory when it was mapped, and the map is immutable.
            _ = unsafe privateMemory.copy(piece, into: window)
        }
        own.copiedInByteCount.add(byteCount)
    }

    /// Copies a part out of the window, whatever the direction.
    mutating func copyOut(_ mapping: borrowing DMAMapping, offset: Int, byteCount: Int) {
        #if BOUNCE_SLOWDOWN_TIME
        let begin = slowdown_begin(byteCount, 1)
        defer { slowdown_end(byteCount, 1, begin) }
        #endif
        learnExtentsIfChanged()
        let privateMemory = privateMemory
        forEachPiece(of: mapping, offset, byteCount) { piece, window in
            // SAFETY: as above.
            _ = unsafe privateMemory.copy(from: window, to: piece)
        }
        own.copiedOutByteCount.add(byteCount)
    }

    /// Calls `body` with each buffer's share of a part, and where it is in the window.
    @inline(__always)
    private func forEachPiece(
        of mapping: borrowing DMAMapping, _ offset: Int, _ byteCount: Int,
        _ body: (GuestRange, HostRange) -> Void
    ) {
        let window = hostRange(
            deviceAddress: mapping.deviceAddress &+ UInt64(offset), byteCount: byteCount)
        guard mapping.isList else {
            body(
                GuestRange(
                    address: GuestAddress(mapping.bufferAddress &+ UInt64(offset)),
                    byteCount: byteCount), window)
            return
        }
        forEachBufferPiece(of: mapping, offset, byteCount, window, body)
    }

    /// The same for a list of buffers, which are in the records of the run's slots.
    private func forEachBufferPiece(
        of mapping: borrowing DMAMapping, _ offset: Int, _ byteCount: Int, _ window: HostRange,
        _ body: (GuestRange, HostRange) -> Void
    ) {
        var skip = offset
        var done = 0
        for number in 0..<table.mapping(mapping.firstSlot).bufferCount where done < byteCount {
            let buffer = buffer(number, of: mapping)
            guard skip < buffer.byteCount else {
                skip -= buffer.byteCount
                continue
            }
            let count = min(buffer.byteCount - skip, byteCount - done)
            body(
                buffer.slice(offset: skip, byteCount: count), window.dropFirst(done).prefix(count))
            done += count
            skip = 0
        }
    }
}
