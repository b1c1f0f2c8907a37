/// What stands before every frame (`struct virtio_net_hdr`, virtio 1.2, 5.1.6), in private memory.
///
/// With ``VirtioFeatures/version1``, which this package insists on, the last field is always there,
/// whether or not buffers are mergeable.
public struct NetHeader: Equatable, Sendable {
    /// ``needsChecksum``, ``isChecked``, and bits to ignore.
    public var flags: UInt8 = 0
    /// One of ``Segmentation``, or anything else.
    public var segmentation: UInt8 = 0
    /// How long the protocol headers of a frame to segment are, in bytes: a hint (`hdr_len`).
    public var headerByteCount: UInt16 = 0
    /// How long the payload of each segment is to be, in bytes (`gso_size`).
    public var segmentByteCount: UInt16 = 0
    /// Where in the frame the bytes begin that the checksum is of (`csum_start`).
    public var checksumStart: UInt16 = 0
    /// How far behind there it goes (`csum_offset`).
    public var checksumOffset: UInt16 = 0
    /// How many buffers a received frame lies in.
    public var bufferCount: UInt16 = 0

    public init() {}

    /// From the bytes of the header, little-endian: the first eight, and the last four.
    @inlinable @inline(__always)
    public init(words: (UInt64, UInt32)) {
        let (first, second) = (words.0.littleEndian, words.1.littleEndian)
        flags = UInt8(truncatingIfNeeded: first)
        segmentation = UInt8(truncatingIfNeeded: first &>> 8)
        headerByteCount = UInt16(truncatingIfNeeded: first &>> 16)
        segmentByteCount = UInt16(truncatingIfNeeded: first &>> 32)
        checksumStart = UInt16(truncatingIfNeeded: first &>> 48)
        checksumOffset = UInt16(truncatingIfNeeded: second)
        bufferCount = UInt16(truncatingIfNeeded: second &>> 16)
    }

    /// As it stands in memory.
    @inlinable @inline(__always)
    public var words: (UInt64, UInt32) {
        let first =
            UInt64(flags) | UInt64(segmentation) &<< 8 | UInt64(headerByteCount) &<< 16
            | UInt64(segmentByteCount) &<< 32 | UInt64(checksumStart) &<< 48
        return (
            first.littleEndian, (UInt32(checksumOffset) | UInt32(bufferCount) &<< 16).littleEndian
        )
    }

    /// The length of the header in bytes.
    public static let byteCount = 12
    /// Where ``bufferCount`` stands.
    public static let bufferCountOffset = 10

    /// The checksum is still to be completed (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
    public static let needsChecksum: UInt8 = 1
    /// A received frame's checksum was found right (`VIRTIO_NET_HDR_F_DATA_VALID`).
    public static let isChecked: UInt8 = 2

    /// What a frame is to be cut into (`VIRTIO_NET_HDR_GSO_*`).
    public enum Segmentation {
        public static let none: UInt8 = 0
        public static let tcp4: UInt8 = 1
        /// Fragments of UDP (`VIRTIO_NET_HDR_GSO_UDP`); this package never offers it.
        public static let udpFragments: UInt8 = 3
        public static let tcp6: UInt8 = 4
        /// UDP packets (`VIRTIO_NET_HDR_GSO_UDP_L4`).
        public static let udp: UInt8 = 5
        /// Set besides a TCP kind: with congestion notification (`VIRTIO_NET_HDR_GSO_ECN`); this
        /// package never offers it.
        public static let congestionNotification: UInt8 = 0x80
    }
}

/// Lengths of Ethernet frames in bytes (IEEE 802.3), without the check sequence that no virtio frame has.
public enum EthernetFrame {
    /// The header: two addresses and a type. No frame is shorter.
    public static let headerByteCount = 14
    /// A tag of a virtual network (IEEE 802.1Q), which counts against no MTU.
    public static let tagByteCount = 4
    /// The longest that is not segmented yet: an IP packet of 65535 bytes, rounded up as the
    /// specification's 65562 bytes of room for header and frame are (5.1.6.3.1), with a tag.
    public static let byteCountMax = 65536 + headerByteCount + tagByteCount

    /// The longest frame of a packet of a length.
    @inlinable
    public static func byteCountMax(mtu: Int) -> Int { mtu + headerByteCount + tagByteCount }
}
