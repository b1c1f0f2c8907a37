import Virtqueue

/// What the frames of a queue may be: by what was negotiated, and by the MTU.
struct FrameRules: Sendable {
    private let features: VirtioFeatures
    /// The longest frame that is sent as it is, and the longest that is to be segmented, in bytes.
    private let byteCountMax: Int
    private let segmentedByteCountMax: Int

    /// - Parameter mtu: the greatest length of a packet where it was negotiated, else it is not told.
    init(features: VirtioFeatures, mtu: Int) {
        self.features = features
        byteCountMax =
            features.contains(.netMTU)
            ? EthernetFrame.byteCountMax(mtu: mtu) : EthernetFrame.byteCountMax
        segmentedByteCountMax = EthernetFrame.byteCountMax
    }

    /// Checks a frame that a driver sends (virtio 1.2, 5.1.6.2), and leaves of its header only what was
    /// asked for: nobody behind this needs to look at flags first.
    ///
    /// - Parameter byteCount: the length of the frame, without the header.
    @inline(__always)
    func check(_ header: NetHeader, byteCount: Int) throws(FrameRefusal) -> NetHeader {
        guard byteCount >= EthernetFrame.headerByteCount else { throw .tooShort }
        // Most ask for nothing.
        if header.segmentation == 0, header.flags & NetHeader.needsChecksum == 0 {
            guard byteCount <= byteCountMax else { throw .tooLong }
            return NetHeader()
        }
        return try checkOffloads(header, byteCount: byteCount)
    }

    @inline(never)
    private func checkOffloads(
        _ header: NetHeader, byteCount: Int
    ) throws(FrameRefusal) -> NetHeader {
        var kept = NetHeader()
        if header.segmentation != NetHeader.Segmentation.none {
            guard byteCount <= segmentedByteCountMax else { throw .tooLong }
            guard features.contains(try Self.feature(of: header.segmentation)) else {
                throw .unknownSegmentation
            }
            guard header.flags & NetHeader.needsChecksum != 0 else {
                throw .segmentationWithoutChecksum
            }
            guard header.segmentByteCount > 0, header.segmentByteCount < byteCount else {
                throw .segmentSizeOutOfRange
            }
            guard header.headerByteCount <= byteCount else { throw .headerLengthOutOfRange }
            kept.segmentation = header.segmentation
            kept.segmentByteCount = header.segmentByteCount
            // A hint that nobody may rely on (5.1.6.2.2).
            kept.headerByteCount = header.headerByteCount
        } else {
            guard byteCount <= byteCountMax else { throw .tooLong }
        }
        guard features.contains(.netChecksum) else { throw .unexpectedChecksum }
        let start = Int(header.checksumStart)
        guard start >= EthernetFrame.headerByteCount,
            start + Int(header.checksumOffset) + 2 <= byteCount
        else { throw .checksumOutOfRange }
        kept.flags = NetHeader.needsChecksum
        kept.checksumStart = header.checksumStart
        kept.checksumOffset = header.checksumOffset
        return kept
    }

    /// What must have been negotiated for a kind of segmentation.
    private static func feature(of segmentation: UInt8) throws(FrameRefusal) -> VirtioFeatures {
        switch segmentation {
        case NetHeader.Segmentation.tcp4: .netHostTSO4
        case NetHeader.Segmentation.tcp6: .netHostTSO6
        case NetHeader.Segmentation.udp: .netHostUSO
        default: throw .unknownSegmentation
        }
    }
}
