import Virtqueue

extension Seeds {
    /// Headers that are right, and those that are nearly.
    static var frames: [(String, [UInt8])] {
        // Kinds of parts: bit 7 to write; bits 4 and 5: a byte of length, two, four, or 12 bytes.
        let whole: [UInt8] = [0x10, 0x20, 0xF6, 5]
        let framings: [(String, [UInt8])] = [
            ("one-part", whole),
            ("header-apart", [0x30, 0x20, 0x10, 0x2C, 0xEA, 5]),
            ("scattered", [0, 0x20, 5, 0, 0x25, 7, 0x10, 0x2C, 0xEA, 5]),
            ("across", [0x11, 0, 0x80, 0]),
            ("outside", [0x38, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("short", [0, 0x20, 11]),
        ]
        let headers: [(String, [UInt8])] = [
            ("plain", Array(repeating: 0, count: 12)),
            ("checksum", [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]),
            ("tso4", [1, 1, 54, 0, 0xB4, 5, 34, 0, 16, 0, 0, 0]),
            ("tso6", [1, 4, 74, 0, 0xA0, 5, 54, 0, 16, 0, 0, 0]),
            ("uso", [1, 5, 42, 0, 0xC0, 5, 34, 0, 6, 0, 0, 0]),
            ("ecn", [1, 0x81, 54, 0, 0xB4, 5, 34, 0, 16, 0, 0, 0]),
            ("beyond", [1, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]),
        ]
        var seeds: [(String, [UInt8])] = []
        for (headerName, header) in headers {
            for (name, parts) in framings {
                var seed = SeedWriter(0x1F, 0x98, 5)
                seed.put(header)
                seed.put(0, 0, 0)
                seed.put(parts)
                seeds.append(("\(headerName)-\(name)", seed.bytes))
            }
        }
        return seeds
    }

    /// Each command there is, in one part, with room for the answer.
    static var commands: [(String, [UInt8])] {
        let address = MACAddress(rawValue: 0x5254_0000_0002)
        let commands: [(String, NetCommand)] = [
            ("receive", .receive(.all, isOn: false)),
            ("table", .setAddressTable(unicast: [address], multicast: [.broadcast])),
            ("address", .setAddress(address)),
            ("network", .virtualNetwork(5, isReceived: true)),
            ("announced", .acknowledgeAnnouncement),
            ("pairs", .setPairCount(2)),
        ]
        return commands.map { name, command in
            var seed = SeedWriter(0x3F)
            seed.put(number: UInt16(command.bytes.count))
            seed.put(command.bytes)
            seed.put(63, 0x11)
            return (name, seed.bytes)
        }
    }
}
