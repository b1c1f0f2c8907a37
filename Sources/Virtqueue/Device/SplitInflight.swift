import BasicContainers
import SharedMemory

/// Notes which buffers of a split queue are under way, by the steps of the vhost-user specification
/// (*Inflight I/O tracking*, split virtqueue).
///
/// What this process has noted it also knows; the region is read only when a queue starts.
struct SplitInflight: ~Copyable {
    private let region: InflightRegion
    private var counter: UInt64 = 0
    private var lastHead: UInt16 = 0
    /// Used since the last publication.
    private var batch: RigidArray<UInt16>
    /// What a former device left, the oldest last.
    private var left: RigidArray<UInt16>

    private enum Header {
        static let lastBatchHead = 12
        static let usedIndex = 14
    }

    private static func row(_ head: UInt16) -> Int { 16 &+ 16 &* Int(head) }
    private static let nextOffset = 6
    private static let counterOffset = 8

    /// - Parameters:
    ///   - size: of the queue; the region may have more rows.
    ///   - usedIndex: that of the used ring.
    init(_ region: InflightRegion, size: Int, usedIndex: UInt16) throws(QueueFault) {
        let heads: [UInt16]
        if try region.isUsed(bySize: size, isPacked: false) {
            try Self.finishBatch(region, size: size, usedIndex: usedIndex)
            var rows: [(row: UInt16, counter: UInt64)] = []
            for head in 0..<UInt16(region.queueSize)
            where region.load(UInt8.self, at: Self.row(head)) != 0 {
                guard head < size else { throw .invalidInflightRegion }
                rows.append((head, region.load(at: Self.row(head) + Self.counterOffset)))
            }
            heads = InflightRegion.inOrder(rows)
            counter = (rows.map(\.counter).max() ?? 0) &+ 1
            lastHead = region.load(at: Header.lastBatchHead)
        } else {
            for head in 0..<UInt16(region.queueSize) {
                region.store(0 as UInt8, at: Self.row(head))
            }
            region.store(0 as UInt64, at: InflightRegion.featuresOffset)
            region.store(UInt16(region.queueSize), at: InflightRegion.rowCountOffset)
            region.store(0 as UInt16, at: Header.lastBatchHead)
            region.store(usedIndex, at: Header.usedIndex)
            region.store(InflightRegion.version, at: InflightRegion.versionOffset)
            heads = []
        }
        self.region = region
        batch = RigidArray(capacity: size)
        left = RigidArray(capacity: size)
        for head in heads.reversed() { left.append(head) }
    }

    /// Completes what a former device did not come to: it had published a batch, and not noted yet
    /// that it is over.
    private static func finishBatch(
        _ region: InflightRegion, size: Int, usedIndex: UInt16
    ) throws(QueueFault) {
        let count = Int(usedIndex &- region.load(at: Header.usedIndex))
        if count > size {
            // The rings were reset meanwhile, which is fine where nothing was under way.
            for head in 0..<UInt16(region.queueSize)
            where region.load(UInt8.self, at: row(head)) != 0 {
                throw .invalidInflightRegion
            }
        } else {
            var head = region.load(UInt16.self, at: Header.lastBatchHead)
            for _ in 0..<count {
                guard head < size else { throw .invalidInflightRegion }
                region.store(0 as UInt8, at: row(head))
                head = region.load(at: row(head) + nextOffset)
            }
        }
        region.store(usedIndex, at: Header.usedIndex)
    }

    var leftCount: Int { left.count }

    /// Takes what a former device left, the oldest first.
    mutating func nextLeft() -> UInt16? {
        left.isEmpty ? nil : left.removeLast()
    }

    mutating func take(_ head: UInt16) {
        let row = Self.row(head)
        region.store(counter, at: row &+ Self.counterOffset)
        counter &+= 1
        region.store(1 as UInt8, at: row)
    }

    mutating func use(_ head: UInt16) {
        region.store(lastHead, at: Self.row(head) &+ Self.nextOffset)
        region.store(head, at: Header.lastBatchHead)
        lastHead = head
        batch.append(head)
    }

    /// After the used index was published.
    mutating func didPublish(usedIndex: UInt16) {
        while !batch.isEmpty { region.store(0 as UInt8, at: Self.row(batch.removeLast())) }
        region.store(usedIndex, at: Header.usedIndex)
    }
}
