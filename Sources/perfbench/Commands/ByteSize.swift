import ArgumentParser

/// A number of bytes as people write it: `512`, `4k`, `64KiB`, `1M`, `2GiB`, `1t`. Units are powers of
/// 1024.
struct ByteSize: ExpressibleByArgument, Hashable, CustomStringConvertible {
    let byteCount: Int

    init(_ byteCount: Int) {
        self.byteCount = byteCount
    }

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        let factors = [
            "": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20,
            "mib": 1 << 20, "g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30, "t": 1 << 40,
            "tb": 1 << 40, "tib": 1 << 40,
        ]
        guard let count = Int(digits),
            let factor = factors[argument.dropFirst(digits.count).lowercased()]
        else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        byteCount = product
    }

    var description: String {
        for (unit, factor) in [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)]
        where byteCount >= factor && byteCount % factor == 0 {
            return "\(byteCount / factor)\(unit)"
        }
        return "\(byteCount)"
    }

    var defaultValueDescription: String { description }
}

/// A list with commas between its items: `4k,16k,64k`.
struct CommaList<Item: ExpressibleByArgument & Hashable>: ExpressibleByArgument {
    let items: [Item]

    init(_ items: [Item]) {
        self.items = items
    }

    /// Items named twice count once.
    init?(argument: String) {
        var items: [Item] = []
        for text in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let item = Item(argument: String(text)) else { return nil }
            if !items.contains(item) { items.append(item) }
        }
        self.items = items
    }

    var defaultValueDescription: String {
        items.map(\.defaultValueDescription).joined(separator: ",")
    }

    static var allValueStrings: [String] { Item.allValueStrings }
}
