import Synchronization
import Virtqueue

/// What the queues of a device share: its configuration space, and what the driver has chosen by the
/// control queue.
///
/// **Threading.** Any thread.
final class NetState: Sendable {
    private struct Values {
        var configuration: NetConfiguration
        var filter: NetFilter
        /// How many pairs the driver wants to use.
        var pairCount: Int
    }

    private let initial: NetConfiguration
    private let values: Mutex<Values>
    /// How often something has changed.
    private let changeCount = Atomic<UInt32>(0)

    /// Told when the configuration space has changed without the driver's doing, on any thread.
    private let onConfigurationChange: @Sendable () -> Void

    init(
        _ configuration: NetConfiguration,
        onConfigurationChange: @escaping @Sendable () -> Void = {}
    ) {
        self.onConfigurationChange = onConfigurationChange
        initial = configuration
        values = Mutex(Self.values(configuration))
    }

    private static func values(_ configuration: NetConfiguration) -> Values {
        Values(
            configuration: configuration,
            filter: NetFilter(address: configuration.macAddress), pairCount: 1)
    }

    /// As the driver reads it.
    var configuration: NetConfiguration { values.withLock { $0.configuration } }

    /// What the driver wants to receive.
    var filter: NetFilter { values.withLock { $0.filter } }

    /// Whether the driver uses a pair. Without a control queue there is nothing to choose by: each that
    /// was started is used.
    func uses(pair: Int, _ features: VirtioFeatures) -> Bool {
        !features.isSuperset(of: [.netControlQueue, .netMultiqueue])
            || values.withLock { pair < $0.pairCount }
    }

    /// By how much it differs from one time to another whether anything has changed between them. One
    /// load.
    var version: UInt32 {
        // Pairs with the release in `changed`; what was changed is read under the lock anyway.
        changeCount.load(ordering: .acquiring)
    }

    /// Takes in whether the link is up. Who is interested is told where that is news.
    ///
    /// - Parameter isUp: looks; under the lock, so that of two pairs none overwrites what the other has seen
    ///   after it.
    func followLink(_ isUp: () -> Bool) {
        let isNews = values.withLock { values in
            let wasUp = values.configuration.isLinkUp
            values.configuration.isLinkUp = isUp()
            return wasUp != values.configuration.isLinkUp
        }
        guard isNews else { return }
        changed()
        onConfigurationChange()
    }

    /// Asks the driver to announce itself.
    func requestAnnouncement() {
        values.withLock { $0.configuration.wantsAnnouncement = true }
        changed()
        onConfigurationChange()
    }

    /// Forgets everything a driver has set. The link stays as it is.
    func reset() {
        values.withLock {
            let isLinkUp = $0.configuration.isLinkUp
            $0 = Self.values(initial)
            $0.configuration.isLinkUp = isLinkUp
        }
        changed()
    }

    /// Obeys a command.
    ///
    /// - Parameter features: what was negotiated.
    /// - Returns: an error, with nothing changed, where the command needs a feature that was not, or
    ///   wants what cannot be.
    func obey(_ command: NetCommand, _ features: VirtioFeatures) -> NetCommandAnswer {
        guard features.contains(command.feature) else { return .error }
        let answer = values.withLock { Self.obey(command, &$0) }
        if answer == .ok { changed() }
        return answer
    }

    private static func obey(_ command: NetCommand, _ values: inout Values) -> NetCommandAnswer {
        switch command {
        case .receive(let mode, let isOn):
            values.filter.set(mode, isOn: isOn)
        case .setAddressTable(let unicast, let multicast):
            values.filter.setTable(unicast: unicast, multicast: multicast)
        case .setAddress(let address):
            guard address.isOfOne else { return .error }
            values.filter.address = address
            values.configuration.macAddress = address
        case .virtualNetwork(let network, let isReceived):
            values.filter.set(network: network, isReceived: isReceived)
        case .acknowledgeAnnouncement:
            values.configuration.wantsAnnouncement = false
        case .setPairCount(let count):
            guard count >= 1, count <= values.configuration.pairCountMax else { return .error }
            values.pairCount = Int(count)
        }
        return .ok
    }

    /// The control queue begins: what was negotiated says whether virtual networks are filtered.
    func begin(_ features: VirtioFeatures) {
        guard features.contains(.netVLANFilter) else { return }
        values.withLock { $0.filter.filterNetworks() }
        changed()
    }

    private func changed() {
        changeCount.wrappingAdd(1, ordering: .releasing)
    }
}
