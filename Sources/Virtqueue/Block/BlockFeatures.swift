/// The features of block devices (virtio 1.2, 5.2.3).
extension VirtioFeatures {
    /// Segments have a greatest length (`VIRTIO_BLK_F_SIZE_MAX`).
    public static let blockSizeMax = VirtioFeatures(bit: 1)
    /// Requests have a greatest number of segments (`VIRTIO_BLK_F_SEG_MAX`).
    public static let blockSegmentMax = VirtioFeatures(bit: 2)
    /// The device is read-only (`VIRTIO_BLK_F_RO`).
    public static let blockReadOnly = VirtioFeatures(bit: 5)
    /// The size of a block is told (`VIRTIO_BLK_F_BLK_SIZE`).
    public static let blockSize = VirtioFeatures(bit: 6)
    /// Writes can be made durable (`VIRTIO_BLK_F_FLUSH`).
    public static let blockFlush = VirtioFeatures(bit: 9)
    /// The best sizes of transfers are told (`VIRTIO_BLK_F_TOPOLOGY`).
    public static let blockTopology = VirtioFeatures(bit: 10)
    /// The driver can choose whether writes are durable at once (`VIRTIO_BLK_F_CONFIG_WCE`).
    public static let blockConfigWriteback = VirtioFeatures(bit: 11)
    /// There may be several queues (`VIRTIO_BLK_F_MQ`).
    public static let blockMultiqueue = VirtioFeatures(bit: 12)
    /// Ranges can be given up (`VIRTIO_BLK_F_DISCARD`).
    public static let blockDiscard = VirtioFeatures(bit: 13)
    /// Ranges can be made zero (`VIRTIO_BLK_F_WRITE_ZEROES`).
    public static let blockWriteZeroes = VirtioFeatures(bit: 14)
}
