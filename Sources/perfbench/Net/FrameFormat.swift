import Virtqueue

/// What the frames of a case are: how long, what the network is asked to do on them, and how they begin.
struct FrameFormat {
    /// The length in bytes, without the header of virtio.
    let byteCount: Int
    /// What is left to do on a frame.
    let header: NetHeader
    /// The headers of protocols before the payload.
    let prefix: [UInt8]

    /// Which end a frame is from: the contents of both differ.
    enum Sender: UInt64 {
        case driver = 0
        case host = 1
    }

    private static let destination: [UInt8] = [0x02, 0, 0, 0, 0, 0x02]
    private static let source: [UInt8] = [0x02, 0, 0, 0, 0, 0x01]

    /// Frames that are sent as they are, and that no network stack of Linux takes for its own: of a type for
    /// experiments (IEEE 802, 0x88b5).
    init(plain byteCount: Int) {
        self.byteCount = byteCount
        header = NetHeader()
        prefix = Self.destination + Self.source + [0x88, 0xb5]
    }

    /// Frames of TCP over IPv4 that are to be segmented: to an address that is nobody's (RFC 5737), on Ethernet
    /// and in IP.
    ///
    /// - Parameter mtu: how long the packet of each segment may be.
    init(segmented byteCount: Int, mtu: Int) {
        self.byteCount = byteCount
        prefix = Self.destination + Self.source + [0x08, 0x00] + Self.internetHeaders(byteCount)
        var header = NetHeader()
        header.flags = NetHeader.needsChecksum
        header.segmentation = NetHeader.Segmentation.tcp4
        header.headerByteCount = UInt16(prefix.count)
        header.segmentByteCount = UInt16(mtu - Self.internetHeaderByteCount)
        header.checksumStart = UInt16(EthernetFrame.headerByteCount + Self.addressHeaderByteCount)
        header.checksumOffset = 16
        self.header = header
    }

    private static let addressHeaderByteCount = 20
    /// With TCP's timestamps, which Linux has in every packet.
    private static let internetHeaderByteCount = 52

    private static func internetHeaders(_ byteCount: Int) -> [UInt8] {
        let packet = big(UInt16(byteCount - EthernetFrame.headerByteCount))
        let addresses: [UInt8] = [192, 0, 2, 1, 192, 0, 2, 2]
        var ip = [0x45, 0] + packet + [0, 1, 0x40, 0, 64, 6, 0, 0] + addresses
        ip.replaceSubrange(10..<12, with: big(~sum(ip)))
        // What the checksum of TCP is to be completed from: that of the packet's addresses and length.
        let segment = big(
            UInt16(byteCount - EthernetFrame.headerByteCount - addressHeaderByteCount))
        let partial = big(sum(addresses + [0, 6] + segment))
        let timestamps: [UInt8] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]
        return ip + [0x1f, 0x90, 0x1f, 0x91, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 0xff, 0xff]
            + partial + [0, 0] + timestamps
    }

    private static func big(_ value: UInt16) -> [UInt8] {
        [UInt8(value >> 8), UInt8(value & 0xff)]
    }

    /// The sum of words in one's complement (RFC 1071), not inverted.
    private static func sum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return UInt16(sum)
    }

    /// What must have been negotiated to send such frames, and to receive them.
    var transmitFeatures: VirtioFeatures {
        header.segmentation == NetHeader.Segmentation.none ? [] : [.netChecksum, .netHostTSO4]
    }
    var receiveFeatures: VirtioFeatures {
        header.segmentation == NetHeader.Segmentation.none
            ? [] : [.netGuestChecksum, .netGuestTSO4]
    }

    /// The bytes of a frame, by its number.
    func contents(ofFrame number: Int, from sender: Sender) -> [UInt8] {
        var random = SplitMix64(
            seed: UInt64(number) << 20 ^ sender.rawValue << 19 ^ UInt64(byteCount))
        var bytes = prefix
        bytes.reserveCapacity(byteCount + 8)
        while bytes.count < byteCount {
            let word = random.next()
            for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(byte * 8))) }
        }
        return Array(bytes.prefix(byteCount))
    }

    /// Whether a frame is of this program, by its source: others use the interface, too.
    static func isOwn(_ frame: some Collection<UInt8>) -> Bool {
        frame.dropFirst(6).prefix(6).elementsEqual(source)
    }
}
