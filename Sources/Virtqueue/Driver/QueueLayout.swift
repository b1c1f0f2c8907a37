public import SharedMemory

/// How a driver lays a queue out in one piece of memory: the three areas, each on cache lines of its
/// own, since the two sides write to different ones, and a table for each buffer where descriptors
/// are indirect.
public struct QueueLayout: Sendable {
    public let size: Int
    public let isPacked: Bool
    /// How many descriptors each indirect table has room for; 0 where there are none.
    public let tableLength: Int

    let driverOffset: Int
    let deviceOffset: Int
    let tableOffset: Int
    /// The length of the whole, in bytes.
    public let byteCount: Int

    static let lineByteCount = 64

    /// - Precondition: the size is valid, and no table is longer than the queue.
    public init(size: Int, isPacked: Bool, tableLength: Int = 0) {
        precondition(QueueConfiguration.isValid(size: size), "the size is a power of two")
        precondition(tableLength >= 0 && tableLength <= size, "a table is no longer than the queue")
        self.size = size
        self.isPacked = isPacked
        self.tableLength = tableLength
        let areas = QueueConfiguration.areaByteCounts(size: size, isPacked: isPacked)
        func aligned(_ byteCount: Int) -> Int {
            (byteCount + Self.lineByteCount - 1) / Self.lineByteCount * Self.lineByteCount
        }
        driverOffset = aligned(areas.descriptor)
        deviceOffset = driverOffset + aligned(areas.driver)
        tableOffset = deviceOffset + aligned(areas.device)
        byteCount = tableOffset + aligned(size * tableLength * Descriptor.byteCount)
    }

    /// The queue at an address, which is a multiple of 64.
    public func configuration(
        at address: GuestAddress, features: VirtioFeatures
    ) -> QueueConfiguration {
        precondition(
            features.contains(.packedRing) == isPacked
                && address.rawValue % UInt64(Self.lineByteCount) == 0,
            "the layout is of the negotiated format, at an aligned address")
        func area(_ offset: Int) -> GuestAddress {
            GuestAddress(address.rawValue + UInt64(offset))
        }
        return QueueConfiguration(
            size: size, descriptorArea: address, driverArea: area(driverOffset),
            deviceArea: area(deviceOffset), features: features)
    }
}
