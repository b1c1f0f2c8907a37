import SharedMemory
import Virtqueue

/// The guest's buffers for frames of one length: to send from, and behind them to receive into.
///
/// A network stack sends what it has just written, and takes up buffers again soon: so they are few, and lie
/// side by side, in contrast to those of a page cache.
struct FrameMemory {
    let memory: HostMemory
    let format: FrameFormat
    /// Buffers to send from, each with a header and a frame.
    var transmit: GuestBuffers
    let receive: GuestRange
    let receiveBufferByteCount: Int

    /// How many buffers are sent from in turn: more than a queue has, so that none is written to while the
    /// device has it.
    static let bufferCountMax = 1024

    /// - Parameter queueSize: how many buffers to receive into.
    init(_ memory: HostMemory, _ format: FrameFormat, queueSize: Int) {
        self.memory = memory
        self.format = format
        let frameByteCount = format.byteCount
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
        let start = format.header.bytes + format.prefix
        for index in 0..<count { memory.store(start.span, at: index * spacing) }
    }

    /// How much memory frames of a length take at least.
    static func byteCountMin(frameByteCount: Int, queueSize: Int) -> Int {
        let spacing = NetQueueSetting.bufferByteCount(frameByteCount: frameByteCount)
        return queueSize * NetQueueSetting.receiveBufferByteCount(frameByteCount: frameByteCount)
            + 2 * queueSize * spacing
    }

    /// Writes the payload of a frame, as who sends it has just done; its headers are there.
    @inline(__always)
    func write(_ buffer: GuestRange, _ value: UInt8) {
        let start = NetHeader.byteCount &+ format.prefix.count
        memory.fill(
            at: GuestBuffers.offset(of: buffer) &+ start, byteCount: buffer.byteCount &- start,
            with: value)
    }

    /// Reads every byte that has come, as who wants it does.
    ///
    /// - Returns: a sum of them.
    @inline(__always)
    func read(_ buffer: ReceivedBuffer) -> UInt64 {
        // SAFETY: self keeps the memory.
        unsafe memory.hostRange(offset: buffer.offset, byteCount: buffer.byteCount).sum()
    }

    /// Where in the memory a buffer to receive into begins.
    @inline(__always)
    func receiveOffset(_ index: Int) -> Int {
        GuestBuffers.offset(of: receive) &+ index &* receiveBufferByteCount
    }
}
