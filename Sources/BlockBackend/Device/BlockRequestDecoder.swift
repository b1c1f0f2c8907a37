package import BasicContainers
package import SharedMemory
package import Virtqueue

/// What a chain of descriptors asks for, once all that decides was copied out of shared memory.
package struct BlockRequest: Equatable {
    package enum Kind: Equatable {
        case read
        case write
        case flush
        case identify
        /// Ranges to discard or to make zero, which the decoder has put into the caller's memory.
        case discard(segmentCount: Int)
        case writeZeroes(segmentCount: Int)
        /// Wrong in itself, or of an unknown type.
        case refused(BlockStatus)
    }

    package var kind: Kind
    var sector: UInt64 = 0
    /// Where the status goes.
    var statusAddress: GuestAddress
    /// The same byte, which the memory map has, in this process.
    var status: HostRange
    /// Which parts of the chain are the payload: header and status have been taken off.
    var payload: Range<Int> = 0..<0
}

/// Reads block requests (virtio 1.2, 5.2.6), however they are framed: header and status may be parts
/// of their own, or lie in one with the data, or be split.
package struct BlockRequestDecoder {
    let memoryMap: MemoryMap
    /// How many ranges a discard or write-zeroes request may have.
    let segmentCountMax: Int

    /// Where headers and segments that are not in one piece are put together.
    private let scratch: HostMemory

    package init(memoryMap: MemoryMap, segmentCountMax: Int) throws(SystemCallError) {
        self.memoryMap = memoryMap
        self.segmentCountMax = segmentCountMax
        scratch = try .anonymous(byteCount: BlockHeader.byteCount)
    }

    /// Decodes a chain, and takes header and status off it.
    ///
    /// - Parameters:
    ///   - segments: where the ranges of a discard or write-zeroes request go, in order.
    ///   - first: the first of ``segmentCountMax`` places for them.
    /// - Throws: where there is no status byte to answer by.
    @inline(__always)
    package func decode(
        _ chain: inout DescriptorChain, segments: inout RigidArray<BlockSegment>, at first: Int
    ) throws(QueueFault) -> BlockRequest {
        let status = try takeStatus(&chain)
        var request = BlockRequest(
            kind: .refused(.ioError), statusAddress: status.address, status: status.range)
        // What the chain has no room for was not kept.
        guard !chain.isCutShort, let pair = takePair(&chain, at: 0) else {
            return request
        }
        let header = BlockHeader(words: pair.words)
        request.sector = header.sector
        switch header.type {
        case BlockHeader.read:
            request.kind = .read
            request.payload = chain.readableCount..<status.payloadEnd
        case BlockHeader.write:
            request.kind = .write
            request.payload = pair.next..<chain.readableCount
        case BlockHeader.flush:
            request.kind = .flush
        case BlockHeader.identify:
            request.kind = .identify
            request.payload = chain.readableCount..<status.payloadEnd
        case BlockHeader.discard, BlockHeader.writeZeroes:
            request.kind = takeSegments(
                &chain, from: pair.next, isDiscard: header.type == BlockHeader.discard,
                into: &segments, at: first)
        default:
            request.kind = .refused(.unsupported)
        }
        return request
    }

    /// Takes the status off the end of what the device may write.
    ///
    /// - Returns: where it goes, and the part behind the last that has anything left.
    @inline(__always)
    private func takeStatus(
        _ chain: inout DescriptorChain
    ) throws(QueueFault) -> (address: GuestAddress, range: HostRange, payloadEnd: Int) {
        var index = chain.count - 1
        // An empty part at the end holds nothing.
        while index > chain.readableCount, chain[index].byteCount == 0 { index -= 1 }
        // Of a chain cut short the last part was kept in place of another: it may be an empty one,
        // with what could be written not kept.
        guard chain.writableByteCount > 0, chain[index].byteCount > 0 else {
            throw .unanswerableRequest
        }
        let part = chain[index]
        let address = GuestAddress(part.address.rawValue &+ UInt64(part.byteCount - 1))
        guard let run = memoryMap.translatePrefix(of: GuestRange(address: address, byteCount: 1))
        else { throw .unanswerableRequest }
        chain[index].byteCount -= 1
        return (address, run.hostRange, part.byteCount > 1 ? index + 1 : index)
    }

    /// Takes 16 bytes off what the device reads.
    ///
    /// - Parameter index: the part that they begin in.
    /// - Returns: the words, and the part that what follows begins in; `nil` where there are too few
    ///   bytes, or one of them is outside the map.
    @inline(__always)
    private func takePair(
        _ chain: inout DescriptorChain, at index: Int
    ) -> (words: (UInt64, UInt64), next: Int)? {
        guard index < chain.readableCount else { return nil }
        let part = chain[index]
        if part.byteCount >= BlockHeader.byteCount,
            let words = memoryMap.loadPair(at: part.address)
        {
            guard part.byteCount > BlockHeader.byteCount else { return (words, index + 1) }
            chain[index] = part.dropFirst(BlockHeader.byteCount)
            return (words, index)
        }
        return gatherPair(&chain, from: index)
    }

    /// The same where the bytes are scattered.
    @inline(never)
    private func gatherPair(
        _ chain: inout DescriptorChain, from first: Int
    ) -> (words: (UInt64, UInt64), next: Int)? {
        var index = first
        var done = 0
        while done < BlockHeader.byteCount {
            guard index < chain.readableCount else { return nil }
            let part = chain[index]
            let count = min(part.byteCount, BlockHeader.byteCount - done)
            let target = scratch.hostRange(offset: done, byteCount: count)
            // SAFETY: the target lives as long as self.
            guard unsafe memoryMap.copy(part.slice(offset: 0, byteCount: count), into: target)
            else { return nil }
            done += count
            if count == part.byteCount {
                index += 1
            } else {
                chain[index] = part.dropFirst(count)
            }
        }
        return ((scratch.load(at: 0), scratch.load(at: 8)), index)
    }

    private func takeSegments(
        _ chain: inout DescriptorChain, from part: Int, isDiscard: Bool,
        into segments: inout RigidArray<BlockSegment>, at first: Int
    ) -> BlockRequest.Kind {
        let byteCount = chain.readableByteCount - BlockHeader.byteCount
        let count = byteCount / BlockSegment.byteCount
        guard byteCount % BlockSegment.byteCount == 0, count > 0, count <= segmentCountMax else {
            return .refused(.ioError)
        }
        var index = part
        for segment in 0..<count {
            // Parts that end with the header, or are empty, have nothing left.
            guard let pair = takePair(&chain, at: index) else {
                return .refused(.ioError)
            }
            let range = BlockSegment(words: pair.words)
            // To discard is to give up the space; the flag is for zeroes (5.2.6.2).
            let known = isDiscard ? 0 : BlockSegment.mayUnmap
            guard range.flags & ~known == 0 else { return .refused(.unsupported) }
            segments[first + segment] = range
            index = pair.next
        }
        return isDiscard ? .discard(segmentCount: count) : .writeZeroes(segmentCount: count)
    }
}

extension GuestRange {
    fileprivate func dropFirst(_ count: Int) -> GuestRange {
        slice(offset: count, byteCount: byteCount - count)
    }
}
