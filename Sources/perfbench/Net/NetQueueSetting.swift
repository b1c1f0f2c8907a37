import Virtqueue

/// How the virtqueues of a measurement are made, the same on every lane.
struct NetQueueSetting {
    let size: Int
    let isPacked: Bool
    /// Whether the network completes checksums and segments, and the driver takes what is unfinished.
    let hasOffloads: Bool

    /// What is asked for; a backend may have less.
    var features: VirtioFeatures {
        var features: VirtioFeatures = [
            .version1, .accessPlatform, .eventIndex, .netMergeableBuffers,
        ]
        if isPacked { features.insert(.packedRing) }
        if hasOffloads {
            features.formUnion([.netChecksum, .netHostTSO4, .netGuestChecksum, .netGuestTSO4])
        }
        return features
    }

    func layout(features: VirtioFeatures) -> QueueLayout {
        QueueLayout(size: size, isPacked: features.contains(.packedRing))
    }

    /// A buffer with a frame and its header, from a cache line's start to another's.
    static func bufferByteCount(frameByteCount: Int) -> Int {
        (NetHeader.byteCount + frameByteCount + 63) & ~63
    }

    /// The length of a buffer to receive into: a frame's, but a page at most, as Linux has it: longer
    /// frames take several.
    static func receiveBufferByteCount(frameByteCount: Int) -> Int {
        min(bufferByteCount(frameByteCount: frameByteCount), 4096)
    }
}
