import SharedMemory
import Virtqueue

/// The guest's buffers for frames of one length: to send from, and behind them to receive into.
///
/// A network stack sends what it has just written, and takes up buffers again soon: so they are few, and lie
/// side by side, in contrast to those of a page cache.
struct FrameMemory {
    let memory: HostMemory
    let frameByteCount: Int
    /// Buffers to send from, each with a header and a frame.
    var transmit: GuestBuffers
    let receive: GuestRange
    let receiveBufferByteCount: Int

    /// How many buffers are sent from in turn: more than a queue has, so that none is written to while the
    /// device has it.
    static let bufferCountMax = 1024

    /// Frames that no network stack of Linux takes for its own: of a type for experiments (IEEE 802, 0x88b5).
    static let ethernetHeader: [UInt8] =
        [0x02, 0, 0, 0, 0, 0x02] + [0x02, 0, 0, 0, 0, 0x01] + [0x88, 0xb5]

    /// - Parameter queueSize: how many buffers to receive into.
    init(_ memory: HostMemory, frameByteCount: Int, queueSize: Int) {
        self.memory = memory
        self.frameByteCount = frameByteCount
        let spacing = NetQueueSetting.bufferByteCount(frameByteCount: frameByteCount)
        receiveBufferByteCount = NetQueueSetting.receiveBufferByteCount(
            frameByteCount: frameByteCount)
        let receiveByteCount = queueSize * receiveBufferByteCount
        let count = min(Self.bufferCountMax, (memory.byteCount - receiveByteCount) / spacing)
        transmit = GuestBuffers(
            guestMemoryByteCount: count * spacing,
            bufferByteCount: NetHeader.byteCount + frameByteCount, spacing: spacing)
        receive = GuestRange(
            address: GuestAddress(GuestBuffers.base.rawValue + UInt64(count * spacing)),
            byteCount: receiveByteCount)
        let start = [UInt8](repeating: 0, count: NetHeader.byteCount) + Self.ethernetHeader
        for index in 0..<count { memory.store(start.span, at: index * spacing) }
    }

    /// How much memory frames of a length take at least.
    static func byteCountMin(frameByteCount: Int, queueSize: Int) -> Int {
        let spacing = NetQueueSetting.bufferByteCount(frameByteCount: frameByteCount)
        return queueSize * NetQueueSetting.receiveBufferByteCount(frameByteCount: frameByteCount)
            + 2 * queueSize * spacing
    }

    /// Where in the memory a buffer to receive into begins.
    @inline(__always)
    func receiveOffset(_ index: Int) -> Int {
        GuestBuffers.offset(of: receive) &+ index &* receiveBufferByteCount
    }
}
