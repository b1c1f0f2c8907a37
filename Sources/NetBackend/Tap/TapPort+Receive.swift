import BasicContainers
import SharedMemory
import Virtqueue

extension TapPort {
    /// The receive queue begins: the kernel learns what its driver takes unfinished.
    mutating func beganReceiving(_ features: VirtioFeatures) {
        self.features = features
        // A device that is gone, or that takes less than it has said it does: then the kernel finishes
        // frames itself, and nothing else changes.
        try? device.setOffloads(features)
        followState()
    }

    mutating func endedReceiving() {
        features = nil
        followState()
    }

    mutating func forgetFrames() -> Int { reads.removeAll() }

    /// Takes in what the driver has chosen.
    mutating func followState() {
        version = state.version
        filter = state.filter
        device.setQueue(index, isUsed: features.map { state.uses(pair: index, $0) } ?? false)
    }

    /// Gives the driver what has come, as far as it has buffers.
    ///
    /// - Returns: how many frames were taken, filtered ones among them.
    mutating func deliver(_ receive: inout ReceiveQueue?) throws(NetFault) -> Int {
        var count = 0
        while reads.fullCount > 0 {
            let range = reads.first
            // SAFETY: self keeps the memory, which the kernel is done with.
            frame.header = unsafe NetHeader(words: range.loadTwelve())
            frame.byteCount = range.byteCount - NetHeader.byteCount
            frame.parts.removeAll()
            frame.parts.append(range.dropFirst(NetHeader.byteCount))
            if !filter.takesAll, !accepts(frame.parts[0]) {
                receive?.countFiltered()
            } else if case .full = try receive?.deliver(frame) ?? .full {
                break
            }
            reads.removeFirst()
            count += 1
        }
        return count
    }

    mutating func read(_ ring: inout NetRing) -> Int {
        isGone ? 0 : reads.prepare(file, &ring)
    }

    /// Whether the driver wants a frame, by its first bytes.
    private func accepts(_ range: HostRange) -> Bool {
        guard range.byteCount >= EthernetFrame.headerByteCount else { return false }
        func byte(_ offset: Int) -> UInt8 {
            // SAFETY: as above.
            unsafe range.load(at: offset)
        }
        func word(_ offset: Int) -> UInt16 { UInt16(byte(offset)) << 8 | UInt16(byte(offset + 1)) }
        let destination = (0..<MACAddress.byteCount).reduce(0) { $0 << 8 | UInt64(byte($1)) }
        let isTagged = word(12) == Self.tagType && range.byteCount >= 16
        return filter.accepts(
            to: MACAddress(rawValue: destination), network: isTagged ? word(14) & 0x0fff : nil)
    }

    /// The type of a frame with a tag (IEEE 802.1Q, `ETH_P_8021Q`).
    private static var tagType: UInt16 { 0x8100 }
}
