/// The bytes of an input, from which a target takes what it needs. Behind the end there are zeroes.
struct FuzzInput {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position >= bytes.count }

    /// The next number, with its least significant byte first.
    mutating func next<Number: FixedWidthInteger & UnsignedInteger>(
        _: Number.Type = Number.self
    ) -> Number {
        var number: Number = 0
        for index in 0..<Number.bitWidth / 8 {
            guard position < bytes.count else { break }
            number |= Number(bytes[position]) << Number(8 * index)
            position += 1
        }
        return number
    }

    /// A number below `bound`, out of one byte or two.
    mutating func below(_ bound: Int) -> Int {
        bound > 256 ? Int(next(UInt16.self)) % bound : Int(next(UInt8.self)) % max(bound, 1)
    }

    /// The next bytes, fewer at the end.
    mutating func take(_ count: Int) -> [UInt8] {
        let end = min(position + count, bytes.count)
        defer { position = max(position, end) }
        return position < end ? Array(bytes[position..<end]) : []
    }

    mutating func rest() -> [UInt8] { take(bytes.count) }
}
