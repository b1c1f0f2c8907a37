import ArgumentParser

/// What is done to a pool, over and over.
enum PoolOperation: String, CaseIterable, Codable, ExpressibleByArgument {
    /// Map and unmap, nothing copied: the allocator alone.
    case mapUnmap = "map-unmap"
    /// Map and unmap of a buffer to the device, copied in.
    case mapCopyInUnmap = "map-copy-in-unmap"
    /// Map and unmap of a buffer from the device, copied out.
    case mapUnmapCopyOut = "map-unmap-copy-out"
    /// Mappings of mixed sizes, made and ended in random order at a fixed occupancy; nothing copied.
    case churn

    var copies: Bool { copiesIn || copiesOut }
    var copiesIn: Bool { self == .mapCopyInUnmap }
    var copiesOut: Bool { self == .mapUnmapCopyOut }
}

/// What the operation is done to.
enum PoolPath: String, CaseIterable, Codable, ExpressibleByArgument {
    /// `SwiotlbPool`.
    case pool
    /// The same algorithm in C.
    case cTwin = "c-twin"
    /// A model of Linux's search.
    case linuxModel = "linux-model"
    /// The payload's copy, without an allocator.
    case memcpy
    /// `SwiotlbPool` with policies that cost something.
    case poolPrefill = "pool-prefill"
    case poolScrubOnFree = "pool-scrub-on-free"
    case poolScrubOnOwnerChange = "pool-scrub-on-owner-change"
    case poolQuota = "pool-quota"
    /// The measuring loop without anything in it.
    case loop

    /// Whether there is a pool behind the path.
    var allocates: Bool { self != .memcpy && self != .loop }

    /// Whether the path means something for an operation.
    func serves(_ operation: PoolOperation) -> Bool {
        switch self {
        case .pool, .poolPrefill, .poolScrubOnFree, .poolScrubOnOwnerChange, .poolQuota, .cTwin,
            .linuxModel:
            true
        case .memcpy: operation.copies
        case .loop: operation == .mapUnmap
        }
    }
}

/// One point of the plan: all paths are compared at it, each with every number of threads.
struct PoolCase: Hashable {
    let operation: PoolOperation
    /// The buffers' length; for a churn the mean length.
    let byteCount: Int
    /// The part of the slots in use, in hundredths: besides the measured mappings, but for a churn,
    /// which keeps it.
    let occupancyPercent: Int

    var description: String {
        let size = operation == .churn ? "" : " \(ByteSize(byteCount))"
        return "\(operation.rawValue)\(size) at \(occupancyPercent) %"
    }
}

/// One way of measuring a case.
struct PoolVariant: Hashable {
    let path: PoolPath
    let threadCount: Int

    var description: String { "\(path.rawValue) ×\(threadCount)" }
}
