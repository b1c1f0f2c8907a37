import SharedMemory
import Synchronization

extension DeviceQueue {
    @inline(__always)
    mutating func nextSplit(_ chain: inout DescriptorChain) throws(QueueFault) -> Bool {
        if seen == available {
            // Pairs with the driver's release of the index: ring entries and descriptors before it
            // are there.
            let index = driver.loadAcquiring(UInt16.self, at: SplitRing.index)
            guard index != available else { return false }
            guard Int(index &- available) <= size else {
                throw .availableIndexOutOfRange(available: index, next: available)
            }
            seen = index
        }
        guard inflightCount &+ usedCount < size else { throw .tooManyChains }
        let slot = Int(available) & (size &- 1)
        let head = driver.load(UInt16.self, at: SplitRing.available(slot))
        guard Int(head) < size else { throw .descriptorOutOfRange(index: Int(head)) }
        let descriptor = loadDescriptor(Int(head))
        if descriptor.splitFlags & (Descriptor.next | Descriptor.indirect) == 0 {
            chain.token.id = head
            chain.token.descriptorCount = 1
            chain.set(descriptor.range, isWritable: descriptor.splitFlags & Descriptor.write != 0)
        } else {
            try walkSplit(head, descriptor, &chain)
        }
        if hasInflight { splitInflight?.take(head) }
        available &+= 1
        return true
    }

    /// Follows a chain from its head.
    mutating func walkSplit(
        _ head: UInt16, _ chain: inout DescriptorChain
    ) throws(QueueFault) {
        guard Int(head) < size else { throw .descriptorOutOfRange(index: Int(head)) }
        try walkSplit(head, loadDescriptor(Int(head)), &chain)
    }

    /// The same where the head has been loaded.
    @inline(never)
    private mutating func walkSplit(
        _ head: UInt16, _ first: Descriptor, _ chain: inout DescriptorChain
    ) throws(QueueFault) {
        chain.removeAll()
        chain.token.id = head
        chain.token.descriptorCount = 1
        var descriptor = first
        var count = 1
        while true {
            let flags = descriptor.splitFlags
            if flags & Descriptor.indirect != 0 {
                guard flags & Descriptor.next == 0 else { throw .misplacedIndirect }
                try walkTable(descriptor, &chain)
                return
            }
            try chain.append(descriptor.range, isWritable: flags & Descriptor.write != 0)
            guard flags & Descriptor.next != 0 else { return }
            let index = Int(descriptor.splitNext)
            guard index < size else { throw .descriptorOutOfRange(index: index) }
            guard count < size else { throw .chainTooLong }
            count &+= 1
            descriptor = loadDescriptor(index)
        }
    }

    /// Loads a descriptor of the ring: each of its two words once.
    @inline(__always)
    func loadDescriptor(_ index: Int) -> Descriptor {
        let offset = Descriptor.byteCount &* index
        return Descriptor(
            address: descriptors.load(at: offset), word: descriptors.load(at: offset &+ 8))
    }

    @inline(__always)
    mutating func putSplit(_ id: UInt16, _ length: UInt32, buffers: Int) {
        let offset = SplitRing.used(Int(used) & (size &- 1))
        device.store(UInt32(id), at: offset)
        device.store(length, at: offset &+ 4)
        log?.markRing(offset: offset, byteCount: 8)
        used &+= UInt16(truncatingIfNeeded: buffers)
        unpublished &+= buffers
    }
}
