// The structures of the protocol as bytes. None of them checks what it reads, save lengths.

extension VringState {
    init?(_ reader: inout PayloadReader) {
        guard let index = reader.read(UInt32.self), let value = reader.read(UInt32.self) else {
            return nil
        }
        self.init(index: index, value: value)
    }

    func write(to writer: inout PayloadWriter) {
        writer.write(index)
        writer.write(value)
    }
}

extension VringAddresses {
    init?(_ reader: inout PayloadReader) {
        guard let index = reader.read(UInt32.self), let flags = reader.read(UInt32.self),
            let descriptor = reader.read(UInt64.self), let used = reader.read(UInt64.self),
            let available = reader.read(UInt64.self), let log = reader.read(UInt64.self)
        else { return nil }
        self.init(
            index: index, flags: flags, descriptor: descriptor, used: used, available: available,
            log: log)
    }

    func write(to writer: inout PayloadWriter) {
        writer.write(index)
        writer.write(flags)
        writer.write(descriptor)
        writer.write(used)
        writer.write(available)
        writer.write(log)
    }
}

extension VringDescriptor {
    /// The bits of the index, and the one that says that no descriptor comes along.
    private static let indexMask: UInt64 = 0xff
    private static let noDescriptorFlag: UInt64 = 1 << 8

    init?(_ reader: inout PayloadReader) {
        guard let word = reader.read(UInt64.self) else { return nil }
        self.init(
            index: UInt8(word & Self.indexMask), isAttached: word & Self.noDescriptorFlag == 0)
    }

    func write(to writer: inout PayloadWriter) {
        writer.write(UInt64(index) | (isAttached ? 0 : Self.noDescriptorFlag))
    }
}

extension RegionDescription {
    init?(_ reader: inout PayloadReader) {
        guard let guestAddress = reader.read(UInt64.self), let byteCount = reader.read(UInt64.self),
            let userAddress = reader.read(UInt64.self), let mmapOffset = reader.read(UInt64.self)
        else { return nil }
        self.init(
            guestAddress: guestAddress, byteCount: byteCount, userAddress: userAddress,
            mmapOffset: mmapOffset)
    }

    func write(to writer: inout PayloadWriter) {
        writer.write(guestAddress)
        writer.write(byteCount)
        writer.write(userAddress)
        writer.write(mmapOffset)
    }
}

extension LogDescription {
    init?(_ reader: inout PayloadReader) {
        guard let byteCount = reader.read(UInt64.self), let mmapOffset = reader.read(UInt64.self)
        else { return nil }
        self.init(byteCount: byteCount, mmapOffset: mmapOffset)
    }

    func write(to writer: inout PayloadWriter) {
        writer.write(byteCount)
        writer.write(mmapOffset)
    }
}

extension InflightDescription {
    init?(_ reader: inout PayloadReader) {
        guard let byteCount = reader.read(UInt64.self), let mmapOffset = reader.read(UInt64.self),
            let queueCount = reader.read(UInt16.self), let queueSize = reader.read(UInt16.self)
        else { return nil }
        // As a C structure it ends with four bytes that are there for alignment alone. All peers
        // known send them, the specification does not have them.
        _ = reader.read(UInt32.self)
        self.init(
            byteCount: byteCount, mmapOffset: mmapOffset, queueCount: queueCount,
            queueSize: queueSize)
    }

    func write(to writer: inout PayloadWriter) {
        writer.write(byteCount)
        writer.write(mmapOffset)
        writer.write(queueCount)
        writer.write(queueSize)
        writer.write(UInt32(0))
    }
}

extension ConfigurationPart {
    init?(_ reader: inout PayloadReader) {
        guard let offset = reader.read(UInt32.self), let byteCount = reader.read(UInt32.self),
            let flags = reader.read(UInt32.self)
        else { return nil }
        let bytes = reader.readRest()
        guard bytes.count == Int(byteCount) else { return nil }
        self.init(offset: offset, flags: flags, bytes: bytes)
    }

    func write(to writer: inout PayloadWriter) {
        writer.write(offset)
        writer.write(UInt32(bytes.count))
        writer.write(flags)
        writer.write(bytes)
    }

    /// Whether it lies within what can be reached, and has a length.
    var isInRange: Bool {
        !bytes.isEmpty && bytes.count <= Self.byteCountMax
            && Int(offset) <= Self.byteCountMax - bytes.count
    }
}
