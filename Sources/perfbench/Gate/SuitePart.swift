import ArgumentParser

/// What baselines are made of: short runs of this program, the same for everybody.
///
/// Memories are small, so that a run starts at once; the figures are for comparison with themselves only.
enum SuitePart: String, CaseIterable, Codable, ExpressibleByArgument {
    case pool
    case net
    case block
    case instructions

    /// Changes whenever the suite does: baselines of other suites cannot be compared.
    static let version = 1

    /// - Parameter file: what block requests are served from.
    /// - Returns: the arguments of its runs; none of ``instructions``, which are counted.
    func arguments(file: String) -> [String]? {
        let common = [
            "--rounds", "3", "--guest-memory", "64m", "--window", "16m", "--format", "json",
        ]
        switch self {
        case .pool:
            return [
                "pool", "--op", "map-unmap,map-copy-in-unmap,map-unmap-copy-out", "--size",
                "4k,64k", "--occupancy", "50", "--path", "pool,c-twin,memcpy", "--round-seconds",
                "0.012",
            ] + common
        case .net:
            return [
                "net", "--via", "virtqueue", "--frame-size", "64,1514", "--round-seconds", "0.02",
            ] + common
        case .block:
            // Through the page cache: a disk's moods would drown everything else.
            return [
                "block", "--via", "engine", "--path", "direct,bounce", "--block-size", "4k,64k",
                "--depth", "32", "--buffered", "--round-seconds", "0.02", "--file", file,
            ] + common
        case .instructions: return nil
        }
    }

    /// Seconds that one run takes on an idle machine, about.
    var secondsPerRun: Double {
        switch self {
        case .pool: 0.5
        case .net: 0.4
        case .block: 0.6
        case .instructions: 3
        }
    }
}

extension SuitePart {
    /// Whether a metric, by its name, is of this part.
    func measures(_ metric: String) -> Bool { metric.hasPrefix(rawValue) }
}
