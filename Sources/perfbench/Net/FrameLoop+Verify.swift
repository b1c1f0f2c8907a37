import CommandSupport
import GuestDriver
import SharedMemory
import SwiotlbPool
import Virtqueue

// `--verify`: what is sent arrives, every byte of it and in order.
extension FrameLoop where Mapper: ~Copyable, Device: ~Copyable {
    /// Sends frames that differ from each other, is fed such, and compares those that arrive.
    ///
    /// - Parameters:
    ///   - frameCount: how many each way.
    ///   - arrivals: where the host finds what the driver sends; `nil` where that comes back.
    /// - Throws: `CommandFailure` that names the first frame that differs.
    mutating func verify(
        frameCount: Int, burst: Int, lane: NetLane, arrivals: PacketSocket? = nil
    ) throws {
        let format = frames.format
        let isTap = arrivals != nil || feed != nil
        var fromDriver = FrameCheck(format, from: .driver, lane: lane, hasOthers: isTap)
        var fromHost = FrameCheck(format, from: .host, lane: lane, hasOthers: isTap)
        let isFed = feed != nil
        var made = 0
        var fed = 0
        // A frame that there was no room for: its buffer is the next to be sent.
        var heldBack: GuestRange?
        var inbox = [UInt8](
            repeating: 0, count: arrivals != nil ? EthernetFrame.byteCountMax + 64 : 0)
        var frame = ReceivedFrame(frames.memory)
        while sends && fromDriver.count < frameCount || isFed && fromHost.count < frameCount,
            !Interruption.isRequested
        {
            if sends { try make(&made, burst, frameCount, &heldBack) }
            for _ in 0..<burst where fed < frameCount && fed < fromHost.count + 2 * burst {
                let contents = format.contents(ofFrame: fed, from: .host)
                if try feed?.send(contents, format) == true { fed += 1 }
            }
            var isBusy = try turn { buffer in
                guard frame.add(buffer) else { return }
                if isFed {
                    try fromHost.take(frame.bytes, frame.header)
                } else {
                    try fromDriver.take(frame.bytes, frame.header)
                }
            }
            while let (header, bytes) = arrivals?.receive(into: &inbox) {
                try fromDriver.take(bytes, header)
                isBusy = true
            }
            if !isBusy { try wait() }
        }
        try drain()
    }

    /// Makes the next frames available, as many as there is room for.
    private mutating func make(
        _ made: inout Int, _ burst: Int, _ frameCount: Int, _ heldBack: inout GuestRange?
    ) throws {
        for _ in 0..<min(burst, frameCount - made) {
            let buffer = heldBack ?? frames.transmit.next()
            let contents = frames.format.contents(ofFrame: made, from: .driver)
            frames.memory.store(
                contents.span, at: GuestBuffers.offset(of: buffer) + NetHeader.byteCount)
            heldBack = buffer
            guard try send(buffer) else { return }
            heldBack = nil
            made += 1
        }
    }
}

/// A frame that is put together from the buffers that it came in.
private struct ReceivedFrame {
    private let memory: HostMemory
    private(set) var header = NetHeader()
    private(set) var bytes: [UInt8] = []

    init(_ memory: HostMemory) {
        self.memory = memory
    }

    /// - Returns: whether the frame is complete.
    mutating func add(_ buffer: ReceivedBuffer) -> Bool {
        let part = memory.bytes(at: buffer.offset, byteCount: buffer.byteCount)
        if buffer.isFirst {
            header = NetHeader(bytes: part.prefix(NetHeader.byteCount))
            bytes = Array(part.dropFirst(NetHeader.byteCount))
        } else {
            bytes += part
        }
        return buffer.isLast
    }
}
