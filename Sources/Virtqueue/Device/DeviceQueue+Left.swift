import SharedMemory

extension DeviceQueue {
    /// Makes descriptors between the used and the available position look available again.
    ///
    /// A former device may have stored some of a batch's used descriptors and not come to the first,
    /// which shows the driver all. The driver would take them for this device's as soon as it gets
    /// that far, and the buffers with them, which are under way here.
    mutating func hideUnpublished() {
        var position = packedUsed
        while position != packedAvailable {
            let offset = Descriptor.byteCount &* Int(position.index) &+ 8
            let word = descriptors.load(UInt64.self, at: offset)
            let flags = Descriptor(address: 0, word: word).packedFlags
            if flags & (Descriptor.available | Descriptor.used) == position.usedFlags {
                let other = flags & ~(Descriptor.available | Descriptor.used)
                descriptors.store(
                    word & 0xffff_ffff_ffff | UInt64(other | position.availableFlags) << 48,
                    at: offset)
                log?.markRing(offset: offset, byteCount: 8)
            }
            position.advance(by: 1, size: size)
        }
    }

    /// Takes a buffer again that a former device had taken and not given back.
    mutating func nextLeft(_ chain: inout DescriptorChain) throws(QueueFault) -> Bool {
        leftCount &-= 1
        if let head = splitInflight?.nextLeft() {
            try walkSplit(head, &chain)
            return true
        }
        guard let buffer = packedInflight?.nextLeft() else { return false }
        // Each takes work, and lists that hold a table hold nothing else.
        let isList = buffer.descriptorCount > 1
        chain.removeAll()
        chain.token.descriptorCount = buffer.descriptorCount
        chain.token.inflightRow = buffer.head
        for index in 0..<Int(buffer.descriptorCount) {
            guard let descriptor = packedInflight?.descriptor(index, of: buffer) else { break }
            let flags = descriptor.packedFlags
            chain.token.id = descriptor.packedID
            if flags & Descriptor.indirect != 0 {
                guard !isList else { throw .misplacedIndirect }
                try walkTable(descriptor, &chain)
            } else {
                try chain.append(descriptor.range, isWritable: flags & Descriptor.write != 0)
            }
        }
        return true
    }
}
