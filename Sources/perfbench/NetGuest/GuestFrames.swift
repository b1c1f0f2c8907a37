import SharedMemory
import Virtqueue

/// The guest's memory: buffers that frames are sent from, each long enough for any, and behind them those that
/// frames are received into.
///
/// A buffer that becomes free is used next, so few are in use, and those are in cache: as in a kernel that
/// frees and allocates packets.
struct GuestFrames {
    let memory: HostMemory
    let receive: GuestRange
    private var free: [Int]

    /// How many frames can be on their way to the card.
    static let bufferCount = 64
    /// Room for a header and the longest frame, in whole pages.
    static let bufferByteCount =
        (NetHeader.byteCount + EthernetFrame.byteCountMax + 4095) / 4096 * 4096
    /// A buffer to receive into is a page, as Linux has it: longer frames take several.
    static let receiveByteCount = 4096

    /// - Parameter queueSize: how many buffers there are to receive into.
    /// - Throws: where the system has no memory.
    init(queueSize: Int) throws(SystemCallError) {
        let start = Self.bufferCount * Self.bufferByteCount
        let byteCount = queueSize * Self.receiveByteCount
        // The direct path gives it to the card's process.
        memory = try .window(byteCount: start + byteCount, name: "guest-memory")
        receive = GuestRange(
            address: GuestAddress(GuestBuffers.base.rawValue + UInt64(start)), byteCount: byteCount)
        free = Array((0..<Self.bufferCount).reversed())
    }

    /// Whether there is a buffer to send from.
    var hasFree: Bool { !free.isEmpty }

    mutating func take() -> Int? { free.popLast() }

    mutating func giveBack(_ buffer: Int) { free.append(buffer) }

    /// Where a buffer to send from is, for the kernel.
    func hostRange(_ buffer: Int) -> HostRange {
        memory.hostRange(
            offset: buffer * Self.bufferByteCount, byteCount: Self.bufferByteCount)
    }

    /// The first bytes of it, for the driver.
    func range(_ buffer: Int, byteCount: Int) -> GuestRange {
        GuestRange(
            address: GuestAddress(
                GuestBuffers.base.rawValue + UInt64(buffer * Self.bufferByteCount)),
            byteCount: byteCount)
    }

    /// The first bytes of a buffer that was received into, for the kernel.
    func receivedRange(_ buffer: Int, byteCount: Int) -> HostRange {
        memory.hostRange(offset: receiveOffset(buffer), byteCount: byteCount)
    }

    /// How many buffers the frame takes that begins in one, as its header says, in private memory.
    func bufferCount(ofFrameIn buffer: Int) -> Int {
        let offset = receiveOffset(buffer) + NetHeader.bufferCountOffset
        return Int(UInt16(littleEndian: memory.load(UInt16.self, at: offset)))
    }

    private func receiveOffset(_ buffer: Int) -> Int {
        GuestBuffers.offset(of: receive) + buffer * Self.receiveByteCount
    }
}
