/// What a driver asks of a network device by its control queue (virtio 1.2, 5.1.6.5), as this package
/// offers the features for.
public enum NetCommand: Equatable, Sendable {
    /// Whether to receive every frame (`VIRTIO_NET_CTRL_RX_PROMISC`), or every one of a kind
    /// (`_ALLMULTI`, `_ALLUNI`), or none of it (`_NOMULTI`, `_NOUNI`, `_NOBCAST`).
    case receive(NetReceiveMode, isOn: Bool)
    /// To receive what these addresses name (`VIRTIO_NET_CTRL_MAC_TABLE_SET`), and no others of the
    /// former table.
    case setAddressTable(unicast: [MACAddress], multicast: [MACAddress])
    /// To have this address (`VIRTIO_NET_CTRL_MAC_ADDR_SET`).
    case setAddress(MACAddress)
    /// To receive frames of a virtual network, 0 to 4095, or not any more (`VIRTIO_NET_CTRL_VLAN_ADD`,
    /// `_DEL`).
    case virtualNetwork(UInt16, isReceived: Bool)
    /// The driver has seen that it is to announce itself (`VIRTIO_NET_CTRL_ANNOUNCE_ACK`).
    case acknowledgeAnnouncement
    /// To use so many pairs of queues (`VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET`); how many there are is the
    /// device's to check.
    case setPairCount(UInt16)

    /// What a command begins with in bytes: its class and its number (`struct virtio_net_ctrl_hdr`).
    public static let headerByteCount = 2
    /// The most addresses that a table may have; a longer one is no command. (The specification knows no
    /// limit; Linux drivers send what their interface has been told, a few as a rule.)
    public static let tableLengthMax = 1024
    /// The longest command: a table of as many addresses, in two lists with a count each.
    public static let byteCountMax =
        headerByteCount + 2 * 4 + tableLengthMax * MACAddress.byteCount

    /// The highest virtual network (IEEE 802.1Q has 12 bits for it).
    public static let virtualNetworkMax: UInt16 = 4095
}

/// What a command of the class `VIRTIO_NET_CTRL_RX` is about: its number.
public enum NetReceiveMode: UInt8, CaseIterable, Sendable {
    case all = 0
    case allMulticast = 1
    case allUnicast = 2
    case noMulticast = 3
    case noUnicast = 4
    case noBroadcast = 5
}

/// How a command ended (`VIRTIO_NET_OK`, `VIRTIO_NET_ERR`): the byte that the device writes.
public enum NetCommandAnswer: UInt8, Sendable {
    case ok = 0
    case error = 1
}
