/// The configuration space of a network device (`struct virtio_net_config`, virtio 1.2, 5.1.4): what
/// this package offers the features for. A driver may read all of it and write none.
public struct NetConfiguration: Equatable, Sendable {
    /// With ``VirtioFeatures/netMAC``.
    public var macAddress = MACAddress(rawValue: 0)
    /// With ``VirtioFeatures/netStatus``: whether the link is up (`VIRTIO_NET_S_LINK_UP`).
    public var isLinkUp = true
    /// With ``VirtioFeatures/netStatus``: whether the driver is asked to announce itself
    /// (`VIRTIO_NET_S_ANNOUNCE`).
    public var wantsAnnouncement = false
    /// With ``VirtioFeatures/netMultiqueue``: how many pairs of queues there are at most, from 1 on.
    public var pairCountMax: UInt16 = 1
    /// With ``VirtioFeatures/netMTU``: the greatest length of a packet in bytes, from 68 on.
    public var mtu: UInt16 = 1500

    public init() {}

    /// The length of the space in bytes.
    public static let byteCount = 12
    /// The least MTU there is (5.1.4.1).
    public static let mtuMin = 68
    /// How many pairs of queues there can be (`VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX`).
    public static let pairCountMax = 0x8000

    private static let linkUp: UInt16 = 1
    private static let announce: UInt16 = 2

    /// As the driver reads it.
    public var bytes: [UInt8] {
        let status = (isLinkUp ? Self.linkUp : 0) | (wantsAnnouncement ? Self.announce : 0)
        return macAddress.bytes
            + [status, pairCountMax, mtu].flatMap {
                [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)]
            }
    }

    /// From what a device said. Missing bytes at the end count as zeroes: devices of former days had
    /// shorter spaces.
    public init(bytes: [UInt8]) {
        let all =
            bytes.prefix(Self.byteCount)
            + Array(repeating: 0, count: max(Self.byteCount - bytes.count, 0))
        func word(_ offset: Int) -> UInt16 { UInt16(all[offset]) | UInt16(all[offset + 1]) << 8 }
        macAddress = MACAddress(bytes: all.prefix(MACAddress.byteCount))
        isLinkUp = word(6) & Self.linkUp != 0
        wantsAnnouncement = word(6) & Self.announce != 0
        pairCountMax = word(8)
        mtu = word(10)
    }
}
