import Virtqueue

// Numbers of steps, and what follows them, are those of the targets.
extension Seeds {
    static var chains: [(String, [UInt8])] {
        var seeds: [(String, [UInt8])] = []
        for features: UInt8 in [2, 3, 6, 7, 10, 11] {
            for extras: UInt8 in [0, 0x40, 0x80] {
                let isPacked = features & 1 != 0
                // 8 descriptors, 8 parts.
                var seed = SeedWriter(features | extras, 3, 7)
                if extras == 0x40 { seed.put(1, 0) }
                if extras == 0x80 { seed.put(0, 2, 0, 0, 0, 0, 0x20, 0, 0) }
                isPacked ? packed(&seed) : split(&seed)
                // Kicks off; all taken, one used, shown; one more used by a successor.
                seed.put(10, 6, 7, 0, 20, 8)
                if extras == 0x40 { seed.put(11, 5) }
                seed.put(7, 0, 0, 8, 9)
                let name = (isPacked ? "packed-" : "split-") + "\(features)-\(extras)"
                seeds.append((name, seed.bytes))
            }
        }
        return seeds
    }

    /// A chain of three, and a table of two.
    private static func split(_ seed: inout SeedWriter) {
        seed.put(0, 0, 0, 0, 0x30, 16, 1, 1)
        seed.put(0, 0, 1, 0, 0x38, 200, 3, 2)
        seed.put(0, 0, 2, 0xff, 0x3f, 2, 2, 0)
        seed.put(0, 2, 3, 0, 0x30, 2, 4, 0)
        seed.put(0, 0x10, 0, 0, 0x38, 16, 1, 1)
        seed.put(0, 0x10, 1, 0, 0x39, 1, 2, 0)
        seed.put(1, 1, 0, 3)
    }

    /// The same. Bit 6 of the flags makes them available in the first lap.
    private static func packed(_ seed: inout SeedWriter) {
        seed.put(0, 0, 0, 0, 0x30, 16, 0x41, 7)
        seed.put(0, 0, 1, 0, 0x38, 200, 0x43, 7)
        seed.put(0, 0, 2, 0xff, 0x3f, 2, 0x42, 7)
        seed.put(0, 2, 3, 0, 0x30, 2, 0x44, 5)
        seed.put(0, 0x10, 0, 0, 0x38, 16, 0, 0)
        seed.put(0, 0x10, 1, 0, 0x39, 1, 2, 0)
    }

    static var drivers: [(String, [UInt8])] {
        var seeds: [(String, [UInt8])] = []
        for features in 0..<UInt8(16) {
            // 8 descriptors; two buffers, of three parts and of one.
            var seed = SeedWriter(features, 3)
            seed.put(0, 2 | 1 << 3, 16, 200, 1)
            seed.put(0, 0, 100)
            seed.put(1)
            if features & 1 != 0 {
                // The second is used in the place of the first, or ends a batch.
                seed.put(5, 0, 0xc2, features & 8 != 0 ? 0 : 1, 50)
                seed.put(5, features & 2 != 0 ? 1 : 3, 0xc2, features & 8 != 0 ? 1 : 0, 9)
            } else {
                seed.put(4, 0, 9, 0)
                seed.put(4, features & 2 != 0 ? 1 : 3, 50, 0)
            }
            seed.put(6, 0, 2, 6, 1, 2)
            seeds.append(("features-\(features)", seed.bytes))
        }
        return seeds
    }
}
