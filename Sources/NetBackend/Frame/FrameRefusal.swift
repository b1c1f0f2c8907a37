/// Why a frame that a driver wanted to send was dropped.
///
/// Nothing else is disturbed: its buffer is given back, and the next frame is looked at.
public enum FrameRefusal: Error, CaseIterable, Sendable {
    /// The buffer is shorter than a header.
    case noHeader
    /// A part of it lies outside the memory map.
    case unreachable
    /// It has more parts than a frame may.
    case tooManyParts
    /// The frame is shorter than an Ethernet header.
    case tooShort
    /// The frame is longer than the MTU allows, or than any may be that is to be segmented.
    case tooLong
    /// The frame is to be segmented in a way that there is not, or that was not negotiated.
    case unknownSegmentation
    /// The frame is to be segmented, and its header says nothing of the checksum that each segment needs.
    case segmentationWithoutChecksum
    /// The length of the segments is zero, or not less than the frame's.
    case segmentSizeOutOfRange
    /// The frame is to be segmented, and its protocol headers are said to be longer than itself.
    case headerLengthOutOfRange
    /// A checksum is to be completed, which was not negotiated.
    case unexpectedChecksum
    /// A checksum is to be completed that lies outside the frame, or begins in its Ethernet header.
    case checksumOutOfRange
}
