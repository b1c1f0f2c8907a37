import SharedMemory

extension DeviceQueue {
    /// How many descriptors an indirect table may have: as many as the queue, and in a short queue
    /// as many as Linux drivers use all the same.
    static func tableLengthMax(size: Int) -> Int { max(size, 1024) }

    /// Adds what an indirect table has to a chain.
    mutating func walkTable(
        _ descriptor: Descriptor, _ chain: inout DescriptorChain
    ) throws(QueueFault) {
        guard let scratch else { throw .misplacedIndirect }
        let byteCount = descriptor.byteCount
        let count = byteCount / Descriptor.byteCount
        guard byteCount % Descriptor.byteCount == 0, count > 0,
            count <= Self.tableLengthMax(size: size)
        else { throw .invalidIndirectTable(byteCount: byteCount) }
        let table: HostRange
        if let run = memoryMap.translate(descriptor.range), run.hostRange.address % 8 == 0 {
            table = run.hostRange
        } else {
            // One that crosses regions, or is not aligned, is put together first.
            table = scratch.prefix(byteCount)
            // SAFETY: the scratch memory lives as long as self.
            guard unsafe memoryMap.copy(descriptor.range, into: table) else {
                throw .unreachableIndirectTable
            }
        }
        var index = 0
        var walked = 0
        while true {
            guard index < count else { throw .descriptorOutOfRange(index: index) }
            guard walked < count else { throw .chainTooLong }
            walked &+= 1
            let offset = Descriptor.byteCount &* index
            // SAFETY: the memory map, or the scratch memory, lives as long as self. Each word is
            // loaded once; an entry that is visited again makes the chain too long.
            let entry = unsafe Descriptor(
                address: UInt64(littleEndian: table.load(at: offset)),
                word: UInt64(littleEndian: table.load(at: offset &+ 8)))
            let flags = isPacked ? entry.packedFlags : entry.splitFlags
            // In a packed queue's table all flags but the one for writing are reserved.
            guard isPacked || flags & Descriptor.indirect == 0 else { throw .misplacedIndirect }
            try chain.append(entry.range, isWritable: flags & Descriptor.write != 0)
            if isPacked {
                // A packed queue's table is used from end to end, without links.
                index &+= 1
                if index == count { return }
            } else {
                guard flags & Descriptor.next != 0 else { return }
                index = Int(entry.splitNext)
            }
        }
    }
}
