import CommandSupport

extension BackendProcess {
    /// Frames that the backend has dropped since it was asked last, by reason; `nil` where it is somebody
    /// else's, who cannot be asked.
    func newDrops() throws -> [String: Int]? {
        guard let report = try newReport() else { return nil }
        var total: [String: Int] = [:]
        for line in report {
            guard let drops = Self.drops(inReport: line) else {
                throw CommandFailure(
                    .unavailable, "the backend prints statistics that say nothing of drops: \(line)"
                )
            }
            total.merge(drops, uniquingKeysWith: +)
        }
        defer { reportedDrops = total }
        return total.merging(reportedDrops, uniquingKeysWith: -).filter { $0.value > 0 }
    }

    /// What a line of `bounced`'s statistics says of drops, as in `dropped: 2 too short, 1 too long;`.
    ///
    /// - Returns: `nil` where it says nothing of them.
    static func drops(inReport line: String) -> [String: Int]? {
        guard let part = line.split(separator: "; ").first(where: { $0.hasPrefix("dropped: ") })
        else { return nil }
        let text = part.dropFirst("dropped: ".count)
        guard text != "none" else { return [:] }
        var drops: [String: Int] = [:]
        for drop in text.split(separator: ", ") {
            let words = drop.split(separator: " ", maxSplits: 1)
            guard words.count == 2, let count = Int(words[0]) else { return nil }
            drops[String(words[1]), default: 0] += count
        }
        return drops
    }
}
