import SharedMemory
import Synchronization

extension DeviceQueue {
    mutating func nextPacked(_ chain: inout DescriptorChain) throws(QueueFault) -> Bool {
        let offset = Descriptor.byteCount &* Int(packedAvailable.index)
        // Pairs with the driver's release of the head's flags: the rest of the chain is there.
        let word = descriptors.loadAcquiring(UInt64.self, at: offset &+ 8)
        guard isAvailable(Descriptor(address: 0, word: word)) else { return false }
        // What the ring has room for besides what the driver has not got back.
        let limit = size &- inflightDescriptorCount &- usedDescriptorCount
        guard limit > 0 else { throw .tooManyChains }
        let descriptor = Descriptor(address: descriptors.load(at: offset), word: word)
        chain.removeAll()
        packedInflight?.begin()
        do throws(QueueFault) {
            try walkPacked(descriptor, atMost: limit, &chain)
        } catch {
            packedInflight?.abandon()
            throw error
        }
        packedAvailable.advance(by: Int(chain.token.descriptorCount), size: size)
        chain.token.inflightRow = packedInflight?.end() ?? 0
        return true
    }

    /// Follows a list from its first descriptor, which has been loaded.
    ///
    /// - Parameter limit: how many descriptors it may have.
    @inline(__always)
    private mutating func walkPacked(
        _ first: Descriptor, atMost limit: Int, _ chain: inout DescriptorChain
    ) throws(QueueFault) {
        var descriptor = first
        var position = packedAvailable
        var count = 1
        while true {
            let flags = descriptor.packedFlags
            packedInflight?.add(descriptor)
            if flags & Descriptor.indirect != 0 {
                // A list is of parts, or of one table.
                guard flags & Descriptor.next == 0, count == 1 else { throw .misplacedIndirect }
                try walkTable(descriptor, &chain)
                break
            }
            try chain.append(descriptor.range, isWritable: flags & Descriptor.write != 0)
            guard flags & Descriptor.next != 0 else { break }
            guard count < limit else { throw .chainTooLong }
            count &+= 1
            position.advance(by: 1, size: size)
            descriptor = loadDescriptor(Int(position.index))
        }
        chain.token.id = descriptor.packedID
        chain.token.descriptorCount = UInt16(truncatingIfNeeded: count)
    }

    /// Whether a descriptor at the next place was made available in this lap.
    @inline(__always)
    func isAvailable(_ descriptor: Descriptor) -> Bool {
        descriptor.packedFlags & (Descriptor.available | Descriptor.used)
            == packedAvailable.availableFlags
    }

    @inline(__always)
    mutating func putPacked(_ id: UInt16, _ length: UInt32, descriptors count: Int) {
        let offset = Descriptor.byteCount &* Int(packedUsed.index) &+ 8
        let flags = packedUsed.usedFlags | (length > 0 ? Descriptor.write : 0)
        let word = UInt64(length) | UInt64(id) << 32 | UInt64(flags) << 48
        if held == nil {
            // The driver looks here first, so it sees all of a batch at once, or nothing.
            held = (offset, word)
        } else {
            descriptors.store(word, at: offset)
            log?.markRing(offset: offset, byteCount: 8)
        }
        packedUsed.advance(by: count, size: size)
        unpublished &+= count
    }

    mutating func publishPacked() {
        guard let held else { return }
        descriptors.storeReleasing(held.word, at: held.offset)
        log?.markRing(offset: held.offset, byteCount: 8)
        self.held = nil
    }
}
