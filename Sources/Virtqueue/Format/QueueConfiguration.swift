public import SharedMemory

/// Where a virtqueue is, how long it is, and by which rules both sides use it (virtio 1.2, 2.6).
public struct QueueConfiguration: Sendable {
    /// The number of descriptors: a power of two, at most ``sizeMax``.
    public var size: Int
    /// The descriptor table, or the descriptor ring of a packed queue.
    public var descriptorArea: GuestAddress
    /// What the driver writes: the available ring, or the driver event suppression structure.
    public var driverArea: GuestAddress
    /// What the device writes: the used ring, or the device event suppression structure.
    public var deviceArea: GuestAddress
    /// What was negotiated. Of the queue's interest: ``VirtioFeatures/packedRing``,
    /// ``VirtioFeatures/indirectDescriptors``, ``VirtioFeatures/eventIndex`` and
    /// ``VirtioFeatures/inOrder``.
    public var features: VirtioFeatures

    /// The most descriptors a queue can have.
    public static let sizeMax = 32768

    public init(
        size: Int, descriptorArea: GuestAddress, driverArea: GuestAddress,
        deviceArea: GuestAddress, features: VirtioFeatures
    ) {
        self.size = size
        self.descriptorArea = descriptorArea
        self.driverArea = driverArea
        self.deviceArea = deviceArea
        self.features = features
    }

    public var isPacked: Bool { features.contains(.packedRing) }

    /// Whether a queue may have so many descriptors.
    ///
    /// Packed queues need no power of two by the specification; this package asks for one in both
    /// formats, as all drivers known use one.
    public static func isValid(size: Int) -> Bool {
        size > 0 && size <= sizeMax && size & (size - 1) == 0
    }

    /// The lengths of the three areas in bytes.
    public static func areaByteCounts(
        size: Int, isPacked: Bool
    ) -> (descriptor: Int, driver: Int, device: Int) {
        // An event suppression structure is four bytes; the rings of a split queue have flags and
        // index in front, and one word for the event index behind.
        isPacked ? (16 * size, 4, 4) : (16 * size, 6 + 2 * size, 6 + 8 * size)
    }
}
