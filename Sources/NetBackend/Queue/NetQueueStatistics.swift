/// What a transmit queue of a network device has done.
public struct TransmitStatistics: Equatable, Sendable {
    /// Frames that were handed on, and their bytes without headers.
    public var frameCount = 0
    public var byteCount = 0
    /// Frames that were dropped for what they are, by reason.
    public var noHeaderCount = 0
    public var unreachableCount = 0
    public var tooManyPartsCount = 0
    public var tooShortCount = 0
    public var tooLongCount = 0
    public var unknownSegmentationCount = 0
    public var segmentationWithoutChecksumCount = 0
    public var segmentSizeOutOfRangeCount = 0
    public var headerLengthOutOfRangeCount = 0
    public var unexpectedChecksumCount = 0
    public var checksumOutOfRangeCount = 0
    /// Frames that the other end did not take: the TAP said so, or a receiver cannot do what is left to
    /// do on them.
    public var rejectedCount = 0

    public init() {}

    /// How many frames were dropped for what they are.
    public var refusedCount: Int { FrameRefusal.allCases.reduce(0) { $0 + self[$1] } }

    /// How many frames were dropped for a reason.
    public subscript(refusal: FrameRefusal) -> Int {
        get { self[keyPath: Self.path(of: refusal)] }
        set { self[keyPath: Self.path(of: refusal)] = newValue }
    }

    private static func path(of refusal: FrameRefusal) -> WritableKeyPath<Self, Int> {
        switch refusal {
        case .noHeader: \.noHeaderCount
        case .unreachable: \.unreachableCount
        case .tooManyParts: \.tooManyPartsCount
        case .tooShort: \.tooShortCount
        case .tooLong: \.tooLongCount
        case .unknownSegmentation: \.unknownSegmentationCount
        case .segmentationWithoutChecksum: \.segmentationWithoutChecksumCount
        case .segmentSizeOutOfRange: \.segmentSizeOutOfRangeCount
        case .headerLengthOutOfRange: \.headerLengthOutOfRangeCount
        case .unexpectedChecksum: \.unexpectedChecksumCount
        case .checksumOutOfRange: \.checksumOutOfRangeCount
        }
    }

    /// Adds what another queue, or the same one at another time, has done.
    public mutating func add(_ other: Self) {
        frameCount += other.frameCount
        byteCount += other.byteCount
        rejectedCount += other.rejectedCount
        for refusal in FrameRefusal.allCases { self[refusal] += other[refusal] }
    }
}

/// What a receive queue of a network device has done.
public struct ReceiveStatistics: Equatable, Sendable {
    /// Frames that the driver was given, their bytes without headers, and the buffers they took.
    public var frameCount = 0
    public var byteCount = 0
    public var bufferCount = 0
    /// How often a frame had to wait for buffers.
    public var heldBackCount = 0
    /// Frames that the driver does not want to see: other addresses, other virtual networks.
    public var filteredCount = 0
    /// Frames that were dropped: longer than the one buffer that they may lie in, or than all buffers
    /// that a queue has.
    public var tooLongCount = 0
    /// Frames that were dropped: the driver cannot do what is left to do on them.
    public var unexpectedOffloadCount = 0
    /// Frames that had come and were dropped: the queue was stopped before there were buffers for them.
    public var leftOverCount = 0
    /// Buffers that were given back empty: shorter than a header, or outside the memory map.
    public var shortBufferCount = 0
    public var unreachableBufferCount = 0

    public init() {}

    /// Adds what another queue, or the same one at another time, has done.
    public mutating func add(_ other: Self) {
        frameCount += other.frameCount
        byteCount += other.byteCount
        bufferCount += other.bufferCount
        heldBackCount += other.heldBackCount
        filteredCount += other.filteredCount
        tooLongCount += other.tooLongCount
        unexpectedOffloadCount += other.unexpectedOffloadCount
        leftOverCount += other.leftOverCount
        shortBufferCount += other.shortBufferCount
        unreachableBufferCount += other.unreachableBufferCount
    }
}
