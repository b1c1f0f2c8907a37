import SharedMemory

/// One of a queue's areas, where it is in this process. Every access is one load or one store, and
/// is checked against the memory behind it.
struct RingArea {
    /// Keeps what ``range`` is of.
    private let memory: HostMemory
    private let range: HostRange

    /// - Throws: where a byte of the area is outside the map, or not all of it is in one region, or
    ///   the address is not aligned.
    init(
        _ name: String, at address: GuestAddress, byteCount: Int, alignment: Int,
        in map: MemoryMap
    ) throws(QueueFault) {
        guard address.rawValue % UInt64(alignment) == 0,
            let run = map.translate(GuestRange(address: address, byteCount: byteCount))
        else { throw .invalidAddress(area: name) }
        let region = map.regions[run.regionIndex]
        memory = region.memory
        range = run.hostRange
        // A region may begin anywhere in its memory.
        guard (region.memoryOffset + run.regionOffset) % alignment == 0 else {
            throw .invalidAddress(area: name)
        }
    }

    @inline(__always)
    func load<Word: SharedWord>(_: Word.Type = Word.self, at offset: Int) -> Word {
        // SAFETY: self keeps the memory.
        unsafe Word(littleEndian: range.load(Word.self, at: offset))
    }

    @inline(__always)
    func loadAcquiring<Word: SharedWord>(_: Word.Type = Word.self, at offset: Int) -> Word {
        // SAFETY: self keeps the memory.
        unsafe Word(littleEndian: range.loadAcquiring(Word.self, at: offset))
    }

    @inline(__always)
    func store<Word: SharedWord>(_ value: Word, at offset: Int) {
        // SAFETY: self keeps the memory.
        unsafe range.store(value.littleEndian, at: offset)
    }

    @inline(__always)
    func storeReleasing<Word: SharedWord>(_ value: Word, at offset: Int) {
        // SAFETY: self keeps the memory.
        unsafe range.storeReleasing(value.littleEndian, at: offset)
    }
}

/// The three areas of a queue.
struct RingAreas {
    let descriptors: RingArea
    let driver: RingArea
    let device: RingArea

    init(_ configuration: QueueConfiguration, in map: MemoryMap) throws(QueueFault) {
        guard QueueConfiguration.isValid(size: configuration.size) else {
            throw .invalidSize(configuration.size)
        }
        let isPacked = configuration.isPacked
        let byteCounts = QueueConfiguration.areaByteCounts(
            size: configuration.size, isPacked: isPacked)
        descriptors = try RingArea(
            "descriptor", at: configuration.descriptorArea, byteCount: byteCounts.descriptor,
            alignment: 16, in: map)
        driver = try RingArea(
            "driver", at: configuration.driverArea, byteCount: byteCounts.driver,
            alignment: isPacked ? 4 : 2, in: map)
        device = try RingArea(
            "device", at: configuration.deviceArea, byteCount: byteCounts.device, alignment: 4,
            in: map)
    }
}
