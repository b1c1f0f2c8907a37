import BasicContainers
import SharedMemory

/// Notes which buffers of a packed queue are under way, by the steps of the vhost-user specification
/// (*Inflight I/O tracking*, packed virtqueue). A used descriptor overwrites an available one in the
/// ring, so descriptors are kept as well.
///
/// What this process has noted it also knows; the region is read only when a queue starts.
struct PackedInflight: ~Copyable {
    /// Where the queue goes on: after what a former device has used, and after what it has taken.
    let start: (available: PackedPosition, used: PackedPosition)

    private let region: InflightRegion
    private var counter: UInt64
    /// The first free row.
    private var freeHead: UInt16
    /// How far the queue is as the driver sees it.
    private var published: PackedPosition
    /// The buffer that is being taken, and the row for its next descriptor.
    private var head: UInt16 = 0
    private var nextRow: UInt16 = 0
    private var descriptorCount: UInt16 = 0
    /// For each row the next of the free list or of its buffer, for each head the last of its rows.
    private var nexts: RigidArray<UInt16>
    private var lasts: RigidArray<UInt16>
    /// Used since the last publication, by their heads.
    private var batch: RigidArray<UInt16>
    /// What a former device left, the oldest last: its descriptors are all of ``leftDescriptors``
    /// behind those of the next.
    private var left: RigidArray<LeftBuffer>
    private var leftDescriptors: RigidArray<Descriptor>

    /// A buffer that a former device left.
    struct LeftBuffer {
        let head: UInt16
        let descriptorCount: UInt16
        let firstDescriptor: Int
    }

    /// - Parameters:
    ///   - size: of the queue; the region may have more rows.
    ///   - ring: the descriptor ring.
    ///   - position: where a queue begins that no device has used before; its indices are below
    ///     `size`.
    init(
        _ region: InflightRegion, size: Int, ring: borrowing RingArea, position: QueuePosition
    ) throws(QueueFault) {
        var nexts = RigidArray<UInt16>(capacity: region.queueSize)
        var lasts = RigidArray<UInt16>(capacity: region.queueSize)
        var left = RigidArray<LeftBuffer>(capacity: size)
        var leftDescriptors = RigidArray<Descriptor>(capacity: size)
        var available = PackedPosition(rawValue: position.available)
        var published = PackedPosition(rawValue: position.used)
        var freeHead: UInt16 = 0
        var counter: UInt64 = 0
        if try region.isUsed(bySize: size, isPacked: true) {
            let former = try Self.settle(region, size: size, ring: ring)
            freeHead = former.freeHead
            published = former.used
            counter = try Self.recover(
                region, size: size, freeHead: freeHead, nexts: &nexts, lasts: &lasts, left: &left,
                leftDescriptors: &leftDescriptors)
            // All of what the former device has taken was either given back or is left.
            available = published
            available.advance(by: leftDescriptors.count, size: size)
        } else {
            Self.initialize(region, used: published, nexts: &nexts, lasts: &lasts)
        }
        start = (available, published)
        self.region = region
        self.counter = counter
        self.freeHead = freeHead
        self.published = published
        self.nexts = nexts
        self.lasts = lasts
        batch = RigidArray(capacity: size)
        self.left = left
        self.leftDescriptors = leftDescriptors
    }

    var leftCount: Int { left.count }

    /// Takes what a former device left, the oldest first.
    mutating func nextLeft() -> LeftBuffer? {
        left.isEmpty ? nil : left.removeLast()
    }

    func descriptor(_ index: Int, of buffer: LeftBuffer) -> Descriptor {
        leftDescriptors[buffer.firstDescriptor + index]
    }

    /// Begins to take a buffer. There is a free row for each of its descriptors: rows are as many as
    /// descriptors, and those of a buffer are free again when the driver has it back.
    mutating func begin() {
        head = freeHead
        nextRow = freeHead
        descriptorCount = 0
        let row = Self.row(head)
        region.store(0 as UInt16, at: row &+ Row.count)
        region.store(counter, at: row &+ Row.counter)
        counter &+= 1
        region.store(1 as UInt8, at: row &+ Row.inflight)
    }

    /// Keeps a descriptor of the buffer that is being taken.
    mutating func add(_ descriptor: Descriptor) {
        let row = Self.row(nextRow)
        descriptorCount &+= 1
        region.store(descriptorCount, at: Self.row(head) &+ Row.count)
        region.store(nextRow, at: Self.row(head) &+ Row.last)
        lasts[Int(head)] = nextRow
        region.store(descriptor.address, at: row &+ Row.address)
        region.store(UInt32(descriptor.byteCount), at: row &+ Row.length)
        region.store(descriptor.packedFlags, at: row &+ Row.flags)
        region.store(descriptor.packedID, at: row &+ Row.id)
        nextRow = nexts[Int(nextRow)]
        region.store(nextRow, at: Header.freeHead)
    }

    /// Ends taking a buffer.
    ///
    /// - Returns: the row of its head.
    mutating func end() -> UInt16 {
        freeHead = nextRow
        region.store(freeHead, at: Header.oldFreeHead)
        return head
    }

    /// Takes back what was noted of a buffer that turned out to break the rules.
    mutating func abandon() {
        region.store(0 as UInt8, at: Self.row(head) &+ Row.inflight)
        region.store(freeHead, at: Header.freeHead)
    }

    mutating func use(_ head: UInt16) {
        batch.append(head)
    }

    /// Before the first descriptor of a batch is shown to the driver.
    ///
    /// - Parameter used: where the queue is after the batch.
    mutating func willPublish(used: PackedPosition) {
        for index in 0..<batch.count {
            let head = batch[index]
            let last = lasts[Int(head)]
            nexts[Int(last)] = freeHead
            region.store(freeHead, at: Self.row(last) &+ Row.next)
            freeHead = head
        }
        region.store(freeHead, at: Header.freeHead)
        Self.store(region, used: used, old: published)
    }

    /// After it was.
    mutating func didPublish(used: PackedPosition) {
        while !batch.isEmpty {
            region.store(0 as UInt8, at: Self.row(batch.removeLast()) &+ Row.inflight)
        }
        region.store(freeHead, at: Header.oldFreeHead)
        Self.store(region, used: used, old: used)
        published = used
    }
}

// Where things are in the region (`QueueRegionPacked` and `DescStatePacked`), in bytes.
extension PackedInflight {
    enum Header {
        static let freeHead = 12
        static let oldFreeHead = 14
        /// One word of 64 bits: the used index and the old one, 16 bits each, the used wrap counter
        /// and the old one, 8 bits each, and padding.
        static let positions = 16
    }

    enum Row {
        static let inflight = 0
        static let next = 2
        static let last = 4
        static let count = 6
        static let counter = 8
        static let id = 16
        static let flags = 18
        static let length = 20
        static let address = 24
    }

    static func row(_ index: UInt16) -> Int { 32 &+ 32 &* Int(index) }

    /// Stores both positions at once. Index and wrap counter that are stored one after the other are
    /// a position that never was, if the process ends in between; as they change at once, a batch
    /// that ends where it began, one lap later, is seen too.
    static func store(_ region: InflightRegion, used: PackedPosition, old: PackedPosition) {
        let indices = UInt64(used.index) | UInt64(old.index) << 16
        let wraps = UInt64(used.wrap ? 1 : 0) | UInt64(old.wrap ? 1 : 0) << 8
        region.store((indices | wraps << 32).littleEndian, at: Header.positions)
    }
}
