import CommandSupport
import Virtqueue

/// Frames that are to come in order, as they were sent, and how many have.
struct FrameCheck {
    let format: FrameFormat
    let sender: FrameFormat.Sender
    let lane: NetLane
    /// Whether frames of others come in between.
    let hasOthers: Bool
    private(set) var count = 0

    init(_ format: FrameFormat, from sender: FrameFormat.Sender, lane: NetLane, hasOthers: Bool) {
        self.format = format
        self.sender = sender
        self.lane = lane
        self.hasOthers = hasOthers
    }

    /// Compares the next frame.
    ///
    /// - Parameter header: what is left to do on it.
    /// - Throws: `CommandFailure` that names it where it differs.
    mutating func take(_ frame: some Collection<UInt8>, _ header: NetHeader) throws {
        if hasOthers, !FrameFormat.isOwn(frame) { return }
        guard frame.elementsEqual(format.contents(ofFrame: count, from: sender)),
            header.segmentation == format.header.segmentation,
            header.segmentByteCount == format.header.segmentByteCount
        else {
            throw CommandFailure(
                .wrongData,
                "verify: frame \(count) of \(format.byteCount) bytes from the \(sender) did not arrive "
                    + "\(lane.description) as it was sent")
        }
        count += 1
    }
}
