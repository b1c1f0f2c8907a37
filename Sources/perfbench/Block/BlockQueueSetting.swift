import GuestDriver
import Virtqueue

/// How the virtqueue of a measurement is made.
struct BlockQueueSetting {
    /// What is asked for; a backend may have less.
    var features: VirtioFeatures
    var requestCountMax: Int
    var payloadByteCountMax: Int

    init(isPacked: Bool, requestCountMax: Int, payloadByteCountMax: Int) {
        features = [
            .version1, .accessPlatform, .eventIndex, .indirectDescriptors, .blockFlush,
            .blockSegmentMax, .blockSizeMax, .blockSize,
        ]
        if isPacked { features.insert(.packedRing) }
        self.requestCountMax = requestCountMax
        self.payloadByteCountMax = payloadByteCountMax
    }

    /// The longest queue that ``layout(features:)`` makes, whatever a backend has.
    var queueSizeMax: Int { layout(features: []).queue.size }

    /// Descriptors for every request, and as many again, so that requests find place in the ring itself;
    /// but no more than backends commonly take where indirect tables will do.
    func layout(features: VirtioFeatures) -> BlockDriverLayout {
        let usesTables = features.contains(.indirectDescriptors)
        let wanted = 6 * requestCountMax
        let needed = usesTables ? max(min(wanted, 1024), requestCountMax) : wanted
        var size = 128
        while size < needed { size *= 2 }
        return BlockDriverLayout(
            queueSize: size, isPacked: features.contains(.packedRing), usesTables: usesTables,
            requestCountMax: requestCountMax)
    }
}
