extension NetPairStatistics {
    /// How much was dropped, by reason in words, as far as there is any: frames sent, then frames received,
    /// then receive buffers.
    public var drops: [(reason: String, count: Int)] {
        let sent = FrameRefusal.allCases.map { (reason: $0.reason, count: transmit[$0]) }
        let rest = [
            (reason: "not taken by the other end", count: transmit.rejectedCount),
            (reason: "not for this address", count: receive.filteredCount),
            (reason: "received and too long", count: receive.tooLongCount),
            (
                reason: "received with an offload that was not negotiated",
                count: receive.unexpectedOffloadCount
            ),
            (reason: "left over when the queue stopped", count: receive.leftOverCount),
            (reason: "buffers too short for a header", count: receive.shortBufferCount),
            (reason: "buffers outside of the memory", count: receive.unreachableBufferCount),
        ]
        return (sent + rest).filter { $0.count > 0 }
    }
}

extension FrameRefusal {
    /// In words.
    fileprivate var reason: String {
        switch self {
        case .noHeader: "without a header"
        case .unreachable: "outside of the memory"
        case .tooManyParts: "in too many parts"
        case .tooShort: "too short"
        case .tooLong: "too long"
        case .unknownSegmentation: "of unknown segmentation"
        case .segmentationWithoutChecksum: "segmented without a checksum"
        case .segmentSizeOutOfRange: "with a segment size out of range"
        case .headerLengthOutOfRange: "with a header length out of range"
        case .unexpectedChecksum: "with a checksum that was not negotiated"
        case .checksumOutOfRange: "with a checksum out of range"
        }
    }
}
