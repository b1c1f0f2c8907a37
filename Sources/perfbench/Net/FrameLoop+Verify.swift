import CommandSupport
import GuestDriver
import SharedMemory
import SwiotlbPool
import Virtqueue

// `--verify`: what was sent comes back, every byte of it and in order.
extension FrameLoop where Mapper: ~Copyable, Device: ~Copyable {
    /// Sends frames that differ from each other, and compares those that come back.
    ///
    /// - Throws: `CommandFailure` that names the first frame that differs.
    mutating func verify(frameCount: Int, burst: Int, lane: NetLane) throws {
        let memory = frames.memory
        let byteCount = frames.frameByteCount
        var made = 0
        var next = 0
        // A frame that there was no room for: its buffer is the next to be sent.
        var heldBack: GuestRange?
        var frame: [UInt8] = []
        while next < frameCount, !Interruption.isRequested {
            var room = min(burst, frameCount - made)
            while room > 0 {
                let buffer = heldBack ?? frames.transmit.next()
                let contents = Self.contents(ofFrame: made, byteCount: byteCount)
                memory.store(
                    contents.span, at: GuestBuffers.offset(of: buffer) + NetHeader.byteCount)
                heldBack = buffer
                guard try send(buffer) else { break }
                heldBack = nil
                made += 1
                room -= 1
            }
            let isBusy = try turn { buffer in
                let bytes = memory.bytes(at: buffer.offset, byteCount: buffer.byteCount)
                if buffer.isFirst {
                    frame = Array(bytes.dropFirst(NetHeader.byteCount))
                } else {
                    frame += bytes
                }
                guard buffer.isLast else { return }
                guard frame == Self.contents(ofFrame: next, byteCount: byteCount) else {
                    throw CommandFailure(
                        .wrongData,
                        "verify: frame \(next) of \(byteCount) bytes did not come back \(lane.description) "
                            + "as it was sent")
                }
                next += 1
            }
            if !isBusy { try wait() }
        }
        try drain()
    }

    /// The bytes of a frame, by its number.
    static func contents(ofFrame number: Int, byteCount: Int) -> [UInt8] {
        var random = SplitMix64(seed: UInt64(number) << 20 ^ UInt64(byteCount))
        var bytes = FrameMemory.ethernetHeader
        bytes.reserveCapacity(byteCount + 8)
        while bytes.count < byteCount {
            let word = random.next()
            for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(byte * 8))) }
        }
        return Array(bytes.prefix(byteCount))
    }
}
