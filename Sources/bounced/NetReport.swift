import NetBackend

extension NetDevice: ServedDevice {
    var report: String {
        statistics.enumerated().map { "pair \($0.offset): \($0.element.report)\n" }.joined()
    }
}

extension NetPairStatistics {
    /// What was done, and what was dropped and why, in a line.
    ///
    /// `perfbench net` reads what was dropped (`BackendProcess+Net.swift`).
    var report: String {
        let dropped = drops.map { "\($0.count) \($0.reason)" }.joined(separator: ", ")
        return "\(transmit.frameCount) frames sent (\(transmit.byteCount) bytes), "
            + "\(receive.frameCount) received (\(receive.byteCount) bytes in \(receive.bufferCount) "
            + "buffers), \(receive.heldBackCount) times without a buffer; "
            + "dropped: \(dropped.isEmpty ? "none" : dropped); "
            + "\(commandCount) commands, \(refusedCommandCount) refused; "
            + "\(kickCount) kicks, \(callCount) calls, \(waitCount) waits, "
            + "\(pollHitCount) of \(pollHitCount + pollMissCount) polls found work, "
            + "\(faultCount) faults"
    }
}
