// What is sound: far more than any machine does, and far less than overflows what is computed of it.

extension Int {
    /// Whether it can be a number of things that were counted.
    var isSoundCount: Bool { (0...1 << 40).contains(self) }
}

extension Double {
    /// Whether it can be a rate, or a time.
    var isSound: Bool { (0...1e15).contains(self) }
}

extension Estimate {
    var isSound: Bool { [median, low, high].allSatisfy(\.isSound) }
}

extension BlockRun.Latency {
    var isSound: Bool {
        ([min, max] + percentile.values).allSatisfy { $0 <= 1 << 50 } && n <= 1 << 40
    }
}

extension Occupancy {
    /// Whether there is a time for each look.
    var isSound: Bool { ms.count == usedSlots.count }
}

extension Ratio {
    var isSound: Bool {
        let ways = [via, toVia].compactMap { $0 }
        return (blockBytes ?? frameBytes ?? 0) > 0
            && (via != nil || workload == PoolRun.workloadName)
            && ways.allSatisfy { BlockVia(rawValue: $0) != nil || NetVia(rawValue: $0) != nil }
    }
}

extension BlockRun {
    var isSound: Bool {
        (1...1 << 20).contains(blockBytes) && rounds.isSoundCount && errors.isSoundCount
            && iops.isSound && cpuNsPerOpInterval.isSound && clatNs.isSound
            && (iopsOfRounds + [bwBytes, cpuNsPerOp, userNsPerOp, systemNsPerOp]).allSatisfy(
                \.isSound)
            && occupancy?.isSound != false
    }
}

extension NetRun {
    var isSound: Bool {
        (1...1 << 20).contains(frameBytes) && rounds.isSoundCount && pps.isSound
            && pps.median > 0 && roundTripNs.isSound
            && (drops ?? [:]).values.allSatisfy(\.isSoundCount)
    }
}

extension PoolRun {
    var isSound: Bool {
        bytes > 0 && rounds.isSoundCount && nsPerOp.isSound && nsPerOp.median > 0
            && (0...1).contains(occupancy)
            && mapLatencyNs?.isSound != false
    }
}
