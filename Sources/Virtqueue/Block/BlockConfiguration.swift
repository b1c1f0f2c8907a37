/// The configuration space of a block device (`struct virtio_blk_config`, virtio 1.2, 5.2.4).
public struct BlockConfiguration: Equatable, Sendable {
    /// The capacity in sectors of 512 bytes.
    public var sectorCount: UInt64 = 0
    /// The greatest length of a segment in bytes.
    public var segmentByteCountMax: UInt32 = 0
    /// The greatest number of segments of a request's data.
    public var segmentCountMax: UInt32 = 0
    /// The size of a block in bytes.
    public var blockByteCount: UInt32 = 512
    /// How many logical blocks a physical one has, as a power of two.
    public var physicalBlockExponent: UInt8 = 0
    /// The least length in logical blocks that is worth transferring at once.
    public var ioBlockCountMin: UInt16 = 0
    /// Whether completed writes may still be volatile until they are flushed.
    public var isWriteback = true
    public var queueCount: UInt16 = 1
    public var discardSectorCountMax: UInt32 = 0
    public var discardSegmentCountMax: UInt32 = 0
    /// What discarded ranges should be multiples of, in sectors.
    public var discardSectorAlignment: UInt32 = 0
    public var zeroesSectorCountMax: UInt32 = 0
    public var zeroesSegmentCountMax: UInt32 = 0
    /// Whether making zeroes may give up the space.
    public var zeroesMayUnmap = false

    public init() {}

    /// The length of the space in bytes.
    public static let byteCount = 60
    /// Where ``isWriteback`` stands, the one byte that a driver may write.
    public static let writebackOffset = 32

    /// As the driver reads it.
    public var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        func put(_ value: some FixedWidthInteger, _ offset: Int) {
            for index in 0..<value.bitWidth / 8 {
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
            }
        }
        put(sectorCount, 0)
        put(segmentByteCountMax, 8)
        put(segmentCountMax, 12)
        put(blockByteCount, 20)
        put(physicalBlockExponent, 24)
        put(ioBlockCountMin, 26)
        put(UInt8(isWriteback ? 1 : 0), Self.writebackOffset)
        put(queueCount, 34)
        put(discardSectorCountMax, 36)
        put(discardSegmentCountMax, 40)
        put(discardSectorAlignment, 44)
        put(zeroesSectorCountMax, 48)
        put(zeroesSegmentCountMax, 52)
        put(UInt8(zeroesMayUnmap ? 1 : 0), 56)
        return bytes
    }

    /// From what a device said. Missing bytes at the end count as zeroes: devices of former days had
    /// shorter spaces.
    public init(bytes: [UInt8]) {
        func get<Value: FixedWidthInteger>(_ offset: Int, as _: Value.Type = Value.self) -> Value {
            (0..<Value.bitWidth / 8).reduce(0) { value, index in
                offset + index < bytes.count
                    ? value | Value(truncatingIfNeeded: bytes[offset + index]) << (8 * index)
                    : value
            }
        }
        sectorCount = get(0)
        segmentByteCountMax = get(8)
        segmentCountMax = get(12)
        blockByteCount = get(20)
        physicalBlockExponent = get(24)
        ioBlockCountMin = get(26)
        isWriteback = get(Self.writebackOffset, as: UInt8.self) != 0
        queueCount = get(34)
        discardSectorCountMax = get(36)
        discardSegmentCountMax = get(40)
        discardSectorAlignment = get(44)
        zeroesSectorCountMax = get(48)
        zeroesSegmentCountMax = get(52)
        zeroesMayUnmap = get(56, as: UInt8.self) != 0
    }
}
