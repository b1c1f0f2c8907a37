import Virtqueue

extension Seeds {
    /// One of each type, and framings that are seldom met.
    static var requests: [(String, [UInt8])] {
        // Kinds of parts: bit 7 to write; bits 4 and 5: a byte of length, two, four, or 16 bytes.
        let header: [UInt8] = [0x30, 0, 2]
        let status: [UInt8] = [0x80, 0, 3, 1]
        let framings: [(String, [UInt8])] = [
            ("read", header + [0x90, 0x80, 4, 0, 2] + status),
            ("write", header + [0x10, 0x80, 4, 0, 2] + status),
            ("one-part", [0x10, 0, 2, 0x10, 2] + [0x90, 0, 3, 1, 2]),
            ("scattered", [0, 0, 2, 5, 0, 0, 4, 11, 0x31, 0x78, 0] + [0x80, 0, 3, 0] + status),
            ("across", [0x33, 0x70, 0x10, 0x90, 0, 0x10, 0, 2] + status),
            ("outside", [0x38, 0, 0, 0, 0, 0, 0, 0, 1] + status),
        ]
        var seeds: [(String, [UInt8])] = []
        let types: [(String, UInt32)] = [
            ("in", BlockHeader.read), ("out", BlockHeader.write), ("flush", BlockHeader.flush),
            ("id", BlockHeader.identify), ("discard", BlockHeader.discard),
            ("zeroes", BlockHeader.writeZeroes),
        ]
        for (name, parts) in framings {
            let (typeName, type) = types[seeds.count % types.count]
            var seed = SeedWriter(11, 7, UInt8(type), 8, 0, 0, 0, 0)
            seed.put(parts)
            seeds.append(("\(name)-\(typeName)", seed.bytes))
        }
        for (name, type) in types {
            // Two segments in a part of their own.
            var seed = SeedWriter(7, 7, UInt8(type), 8, 0, 0, 0, 0)
            seed.put(header + [0, 0, 4, 32] + status)
            seeds.append(("type-\(name)", seed.bytes))
        }
        return seeds
    }
}
