/// Takes fields off a payload, in this machine's byte order, and never past its end.
struct PayloadReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    /// The next field; `nil` where the payload ends before it does.
    mutating func read<Field: FixedWidthInteger & UnsignedInteger>(_: Field.Type) -> Field? {
        let width = Field.bitWidth / 8
        guard width <= bytes.count - position else { return nil }
        var value: Field = 0
        for index in 0..<width {
            value |= Field(truncatingIfNeeded: bytes[position + index]) << Field(8 * index)
        }
        position += width
        return Field(littleEndian: value)
    }

    /// All bytes that are left.
    mutating func readRest() -> [UInt8] {
        defer { position = bytes.count }
        return Array(bytes[position...])
    }
}

/// Puts a payload together, in this machine's byte order.
struct PayloadWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write<Field: FixedWidthInteger & UnsignedInteger>(_ field: Field) {
        let value = field.littleEndian
        for index in 0..<Field.bitWidth / 8 {
            bytes.append(UInt8(truncatingIfNeeded: value >> Field(8 * index)))
        }
    }

    mutating func write(_ rest: [UInt8]) {
        bytes += rest
    }
}
