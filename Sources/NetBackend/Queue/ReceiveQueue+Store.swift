import BasicContainers
import SharedMemory
import Virtqueue

extension ReceiveQueue {
    /// Adds the buffer that was taken last to those of the frame at hand. One that is of no use for the
    /// start of a frame is given back empty.
    @inline(__always)
    mutating func gather() {
        if chain.count == 1, chain.writableByteCount >= NetHeader.byteCount,
            let run = memoryMap.translate(chain[0])
        {
            parts.append(ReceivePart(address: chain[0].address, range: run.hostRange))
            gatheredByteCount &+= run.hostRange.byteCount
            buffers.append(
                ReceiveBuffer(token: chain.token, byteCount: run.hostRange.byteCount))
        } else {
            gatherParts()
        }
    }

    /// The same for a buffer in pieces, or a bad one.
    @inline(never)
    private mutating func gatherParts() {
        let isFirst = buffers.isEmpty
        guard !isFirst || chain.writableByteCount >= NetHeader.byteCount else {
            statistics.shortBufferCount &+= 1
            return queue.use(chain.token, writtenByteCount: 0)
        }
        let partCount = parts.count
        guard !chain.isCutShort, let byteCount = translateParts() else {
            while parts.count > partCount { parts.removeLast() }
            statistics.unreachableBufferCount &+= 1
            // Amid a frame it counts as one without room.
            guard isFirst else {
                return buffers.append(ReceiveBuffer(token: chain.token, byteCount: 0))
            }
            return queue.use(chain.token, writtenByteCount: 0)
        }
        gatheredByteCount &+= byteCount
        buffers.append(ReceiveBuffer(token: chain.token, byteCount: byteCount))
    }

    /// Adds the parts of the chain at hand, as far as there is room for them.
    ///
    /// - Returns: how many bytes they have; `nil` where one of them is outside the map.
    private mutating func translateParts() -> Int? {
        var byteCount = 0
        for index in chain.readableCount..<chain.count {
            var rest = chain[index]
            while rest.byteCount > 0, !parts.isFull {
                guard let run = memoryMap.translatePrefix(of: rest) else { return nil }
                let count = run.hostRange.byteCount
                parts.append(ReceivePart(address: rest.address, range: run.hostRange))
                byteCount &+= count
                rest = rest.slice(offset: count, byteCount: rest.byteCount - count)
            }
        }
        return byteCount
    }

    /// Writes header and frame into the parts.
    @inline(__always)
    mutating func store(_ frame: borrowing NetFrame) {
        var header = frame.header
        header.bufferCount = UInt16(truncatingIfNeeded: buffers.count)
        if !features.contains(.netGuestChecksum) { header.flags = 0 }
        guard parts.count == 1, frame.parts.count == 1 else { return storeParts(header, frame) }
        let target = parts[0].range
        // SAFETY: the map keeps the memory of the target, the caller that of the frame.
        unsafe target.storeTwelve(header.words)
        unsafe target.dropFirst(NetHeader.byteCount).copy(
            from: frame.parts[0], byteCount: frame.byteCount)
    }

    @inline(never)
    private mutating func storeParts(_ header: NetHeader, _ frame: borrowing NetFrame) {
        let range = scratch.hostRange(offset: 0, byteCount: NetHeader.byteCount)
        // SAFETY: self keeps the memory.
        unsafe range.storeTwelve(header.words)
        var part = 0
        var done = 0
        copy(range, &part, &done)
        for index in 0..<frame.parts.count { copy(frame.parts[index], &part, &done) }
    }

    /// Copies a piece to where the last one ended.
    private func copy(_ source: HostRange, _ part: inout Int, _ done: inout Int) {
        var rest = source
        while rest.byteCount > 0 {
            let target = parts[part].range.dropFirst(done)
            let count = min(rest.byteCount, target.byteCount)
            // SAFETY: the map keeps the memory of the target, the caller that of the source.
            unsafe target.copy(from: rest, byteCount: count)
            rest = rest.dropFirst(count)
            done += count
            if done == parts[part].range.byteCount {
                part += 1
                done = 0
            }
        }
    }

    /// Gives the buffers back with what was written into them.
    @inline(__always)
    mutating func use(_ byteCount: Int) {
        if dirtyLog != nil { log(byteCount) }
        var rest = byteCount
        for index in 0..<buffers.count {
            let count = min(rest, buffers[index].byteCount)
            queue.use(buffers[index].token, writtenByteCount: count)
            rest &-= count
        }
    }

    /// Notes what was written.
    private func log(_ byteCount: Int) {
        var rest = byteCount
        for index in 0..<parts.count where rest > 0 {
            let count = min(rest, parts[index].range.byteCount)
            dirtyLog?.mark(GuestRange(address: parts[index].address, byteCount: count))
            rest -= count
        }
    }
}
