/// The features of network devices (virtio 1.2, 5.1.3). *Host* is the device in the C names, *guest* the
/// driver.
extension VirtioFeatures {
    /// The device takes frames whose checksum is to be completed (`VIRTIO_NET_F_CSUM`).
    public static let netChecksum = VirtioFeatures(bit: 0)
    /// The driver takes frames whose checksum is not complete (`VIRTIO_NET_F_GUEST_CSUM`).
    public static let netGuestChecksum = VirtioFeatures(bit: 1)
    /// The greatest length of a packet is told (`VIRTIO_NET_F_MTU`).
    public static let netMTU = VirtioFeatures(bit: 3)
    /// The device has an address of its own (`VIRTIO_NET_F_MAC`).
    public static let netMAC = VirtioFeatures(bit: 5)
    /// The driver takes TCP over IPv4 that was not segmented (`VIRTIO_NET_F_GUEST_TSO4`).
    public static let netGuestTSO4 = VirtioFeatures(bit: 7)
    /// The same over IPv6 (`VIRTIO_NET_F_GUEST_TSO6`).
    public static let netGuestTSO6 = VirtioFeatures(bit: 8)
    /// The device takes TCP over IPv4 that was not segmented (`VIRTIO_NET_F_HOST_TSO4`).
    public static let netHostTSO4 = VirtioFeatures(bit: 11)
    /// The same over IPv6 (`VIRTIO_NET_F_HOST_TSO6`).
    public static let netHostTSO6 = VirtioFeatures(bit: 12)
    /// A received frame may lie in several buffers (`VIRTIO_NET_F_MRG_RXBUF`).
    public static let netMergeableBuffers = VirtioFeatures(bit: 15)
    /// The state of the link is told (`VIRTIO_NET_F_STATUS`).
    public static let netStatus = VirtioFeatures(bit: 16)
    /// There is a control queue (`VIRTIO_NET_F_CTRL_VQ`).
    public static let netControlQueue = VirtioFeatures(bit: 17)
    /// What is received can be chosen (`VIRTIO_NET_F_CTRL_RX`).
    public static let netReceiveMode = VirtioFeatures(bit: 18)
    /// Virtual networks can be filtered (`VIRTIO_NET_F_CTRL_VLAN`).
    public static let netVLANFilter = VirtioFeatures(bit: 19)
    /// More of what is received can be chosen (`VIRTIO_NET_F_CTRL_RX_EXTRA`).
    public static let netReceiveModeExtra = VirtioFeatures(bit: 20)
    /// The device can ask the driver to announce itself (`VIRTIO_NET_F_GUEST_ANNOUNCE`).
    public static let netGuestAnnounce = VirtioFeatures(bit: 21)
    /// There may be several pairs of queues (`VIRTIO_NET_F_MQ`).
    public static let netMultiqueue = VirtioFeatures(bit: 22)
    /// The address can be set by a command (`VIRTIO_NET_F_CTRL_MAC_ADDR`).
    public static let netSetMAC = VirtioFeatures(bit: 23)
    /// The driver takes UDP over IPv4 that was not segmented (`VIRTIO_NET_F_GUEST_USO4`).
    public static let netGuestUSO4 = VirtioFeatures(bit: 54)
    /// The same over IPv6 (`VIRTIO_NET_F_GUEST_USO6`).
    public static let netGuestUSO6 = VirtioFeatures(bit: 55)
    /// The device takes UDP that was not segmented, over either (`VIRTIO_NET_F_HOST_USO`).
    public static let netHostUSO = VirtioFeatures(bit: 56)
}

extension VirtioFeatures {
    /// Those by which a driver may leave work on its frames to the device.
    public static let netHostOffloads: VirtioFeatures = [
        .netChecksum, .netHostTSO4, .netHostTSO6, .netHostUSO,
    ]
    /// Those by which a device may leave work on its frames to the driver.
    public static let netGuestOffloads: VirtioFeatures = [
        .netGuestChecksum, .netGuestTSO4, .netGuestTSO6, .netGuestUSO4, .netGuestUSO6,
    ]
}
