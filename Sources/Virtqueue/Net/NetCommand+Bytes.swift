extension NetCommand {
    private enum Class {
        static let receive: UInt8 = 0
        static let address: UInt8 = 1
        static let virtualNetwork: UInt8 = 2
        static let announcement: UInt8 = 3
        static let pairs: UInt8 = 4
    }

    /// From the bytes of a command, without the answer.
    ///
    /// - Returns: `nil` where there is no such command, or it is shorter or longer than its kind is, or
    ///   says what cannot be.
    public init?(bytes: [UInt8]) {
        guard bytes.count >= Self.headerByteCount, bytes.count <= Self.byteCountMax else {
            return nil
        }
        let data = bytes.dropFirst(Self.headerByteCount)
        switch (bytes[0], bytes[1]) {
        case (Class.receive, let number):
            guard let mode = NetReceiveMode(rawValue: number), data.count == 1,
                let value = data.first, value <= 1
            else { return nil }
            self = .receive(mode, isOn: value == 1)
        case (Class.address, 0):
            guard let (unicast, rest) = Self.list(data), let (multicast, end) = Self.list(rest),
                end.isEmpty, unicast.count + multicast.count <= Self.tableLengthMax
            else { return nil }
            self = .setAddressTable(unicast: unicast, multicast: multicast)
        case (Class.address, 1):
            guard data.count == MACAddress.byteCount else { return nil }
            self = .setAddress(MACAddress(bytes: data))
        case (Class.virtualNetwork, let number) where number <= 1:
            guard let network = Self.word(data), network <= Self.virtualNetworkMax else {
                return nil
            }
            self = .virtualNetwork(network, isReceived: number == 0)
        case (Class.announcement, 0):
            guard data.isEmpty else { return nil }
            self = .acknowledgeAnnouncement
        case (Class.pairs, 0):
            guard let count = Self.word(data) else { return nil }
            self = .setPairCount(count)
        default:
            return nil
        }
    }

    /// As it stands in memory, without the answer.
    public var bytes: [UInt8] {
        switch self {
        case .receive(let mode, let isOn):
            [Class.receive, mode.rawValue, isOn ? 1 : 0]
        case .setAddressTable(let unicast, let multicast):
            [Class.address, 0] + Self.bytes(unicast) + Self.bytes(multicast)
        case .setAddress(let address):
            [Class.address, 1] + address.bytes
        case .virtualNetwork(let network, let isReceived):
            [Class.virtualNetwork, isReceived ? 0 : 1] + Self.bytes(network)
        case .acknowledgeAnnouncement:
            [Class.announcement, 0]
        case .setPairCount(let count):
            [Class.pairs, 0] + Self.bytes(count)
        }
    }

    /// The feature without which a driver may not give the command.
    public var feature: VirtioFeatures {
        switch self {
        case .receive(.all, _), .receive(.allMulticast, _), .setAddressTable: .netReceiveMode
        case .receive: .netReceiveModeExtra
        case .setAddress: .netSetMAC
        case .virtualNetwork: .netVLANFilter
        case .acknowledgeAnnouncement: .netGuestAnnounce
        case .setPairCount: .netMultiqueue
        }
    }

    /// Takes a list off the front: a count of four bytes, then the addresses.
    private static func list(_ bytes: ArraySlice<UInt8>) -> ([MACAddress], ArraySlice<UInt8>)? {
        guard bytes.count >= 4 else { return nil }
        let count = bytes.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        let rest = bytes.dropFirst(4)
        guard count <= rest.count / MACAddress.byteCount else { return nil }
        let addresses = (0..<count).map { index in
            MACAddress(
                bytes: rest.dropFirst(index * MACAddress.byteCount).prefix(MACAddress.byteCount))
        }
        return (addresses, rest.dropFirst(count * MACAddress.byteCount))
    }

    private static func word(_ bytes: ArraySlice<UInt8>) -> UInt16? {
        guard bytes.count == 2 else { return nil }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt16($1) }
    }

    private static func bytes(_ word: UInt16) -> [UInt8] {
        [UInt8(truncatingIfNeeded: word), UInt8(truncatingIfNeeded: word >> 8)]
    }

    private static func bytes(_ list: [MACAddress]) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: list.count >> (8 * $0)) } + list.flatMap(\.bytes)
    }
}
