import NetBackend

extension NetDevice: ServedDevice {
    var report: String {
        statistics.enumerated().map { "pair \($0.offset): \($0.element.report)\n" }.joined()
    }
}

extension NetPairStatistics {
    /// What was done, and what was dropped and why, in a line.
    var report: String {
        "\(transmit.frameCount) frames sent (\(transmit.byteCount) bytes), "
            + "\(receive.frameCount) received (\(receive.byteCount) bytes in \(receive.bufferCount) "
            + "buffers), \(receive.heldBackCount) times without a buffer; "
            + "dropped: \(drops.isEmpty ? "none" : drops.joined(separator: ", ")); "
            + "\(commandCount) commands, \(refusedCommandCount) refused; "
            + "\(kickCount) kicks, \(callCount) calls, \(waitCount) waits, "
            + "\(pollHitCount) of \(pollHitCount + pollMissCount) polls found work, "
            + "\(faultCount) faults"
    }

    /// How much was dropped, by reason, as far as there is any: frames sent, then frames received, then
    /// receive buffers.
    private var drops: [String] {
        let sent = FrameRefusal.allCases.map { ($0.reason, transmit[$0]) }
        let rest = [
            ("not taken by the other end", transmit.rejectedCount),
            ("not for this address", receive.filteredCount),
            ("received and too long", receive.tooLongCount),
            ("received with an offload that was not negotiated", receive.unexpectedOffloadCount),
            ("buffers too short for a header", receive.shortBufferCount),
            ("buffers outside of the memory", receive.unreachableBufferCount),
        ]
        return (sent + rest).compactMap { reason, count in
            count > 0 ? "\(count) \(reason)" : nil
        }
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
