import Virtqueue

/// Which frames a driver wants to receive (virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3).
struct NetFilter: Equatable {
    /// Addresses that are the device's own.
    var address: MACAddress
    /// What was asked for besides by ``NetCommand/receive(_:isOn:)``. Until a driver says anything it
    /// receives all: one that cannot choose has to.
    private var modes: [Bool]
    private var unicast: Set<MACAddress> = []
    private var multicast: Set<MACAddress> = []
    /// A bit for each virtual network; `nil` where they are not filtered.
    private var networks: [UInt64]?

    init(address: MACAddress) {
        self.address = address
        modes = NetReceiveMode.allCases.map { $0 == .all }
    }

    mutating func set(_ mode: NetReceiveMode, isOn: Bool) {
        modes[Int(mode.rawValue)] = isOn
    }

    mutating func setTable(unicast: [MACAddress], multicast: [MACAddress]) {
        self.unicast = Set(unicast)
        self.multicast = Set(multicast)
    }

    mutating func set(network: UInt16, isReceived: Bool) {
        filterNetworks()
        let bit: UInt64 = 1 << UInt64(network % 64)
        if isReceived {
            networks?[Int(network / 64)] |= bit
        } else {
            networks?[Int(network / 64)] &= ~bit
        }
    }

    /// Filters virtual networks from now on: a driver that has agreed to that names those it wants.
    mutating func filterNetworks() {
        if networks == nil {
            networks = Array(repeating: 0, count: Int(NetCommand.virtualNetworkMax) / 64 + 1)
        }
    }

    /// Whether every frame is wanted: nothing of it needs to be looked at.
    var takesAll: Bool { isOn(.all) }

    /// Whether a frame is wanted.
    ///
    /// - Parameter network: the virtual network that it is tagged with.
    func accepts(to destination: MACAddress, network: UInt16?) -> Bool {
        if isOn(.all) { return true }
        if let network, let networks,
            networks[Int(network / 64)] & 1 << UInt64(network % 64) == 0
        {
            return false
        }
        if destination == .broadcast { return !isOn(.noBroadcast) }
        if destination.isGroup {
            return !isOn(.noMulticast)
                && (isOn(.allMulticast) || multicast.contains(destination))
        }
        return !isOn(.noUnicast)
            && (isOn(.allUnicast) || destination == address || unicast.contains(destination))
    }

    private func isOn(_ mode: NetReceiveMode) -> Bool { modes[Int(mode.rawValue)] }
}
