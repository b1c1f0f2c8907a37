/// The features that a device offers, or that device and driver have agreed on (virtio 1.2, 2.2).
///
/// The bits that are about rings and transport stand here; those of a kind of device are declared
/// beside it.
public struct VirtioFeatures: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The feature with a bit number, as the specification writes features down.
    public init(bit: Int) {
        precondition(bit >= 0 && bit < 64, "features are 64 bits")
        rawValue = 1 << UInt64(bit)
    }

    /// Writes to guest memory are noted in a log, for migration (`VHOST_F_LOG_ALL`): vhost only.
    public static let logAll = VirtioFeatures(bit: 26)
    /// A descriptor may lead to a table of descriptors (`VIRTIO_F_INDIRECT_DESC`).
    public static let indirectDescriptors = VirtioFeatures(bit: 28)
    /// Either side says at which index it wants to be notified (`VIRTIO_F_EVENT_IDX`).
    public static let eventIndex = VirtioFeatures(bit: 29)
    /// The vhost-user protocol has features of its own (`VHOST_USER_F_PROTOCOL_FEATURES`).
    public static let protocolFeatures = VirtioFeatures(bit: 30)
    /// Virtio 1.0 or later (`VIRTIO_F_VERSION_1`).
    public static let version1 = VirtioFeatures(bit: 32)
    /// The device takes addresses as the platform translates them (`VIRTIO_F_ACCESS_PLATFORM`).
    /// Without it a Linux driver does not use the DMA API, and so never bounces.
    public static let accessPlatform = VirtioFeatures(bit: 33)
    /// Rings are packed (`VIRTIO_F_RING_PACKED`).
    public static let packedRing = VirtioFeatures(bit: 34)
    /// Buffers are used in the order in which they were made available (`VIRTIO_F_IN_ORDER`).
    public static let inOrder = VirtioFeatures(bit: 35)
}
