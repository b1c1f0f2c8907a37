public import Logging
public import SharedMemory
import Synchronization
public import Virtqueue

/// What a network device is connected to.
public enum NetConnection: Sendable {
    /// Every byte of what is sent is read and forgotten; nothing is received.
    case drop
    /// What a pair sends it receives, copied once.
    case loopback
    /// Each pair of queues is one of the TAP device's, which has as many.
    case tap(TapDevice)

    /// What of a frame's work the connection can be left to do, or leaves to the driver.
    var offloads: VirtioFeatures {
        switch self {
        case .drop: .netHostOffloads
        // What one side leaves to do the other does, and it is the same driver.
        case .loopback: .netHostOffloads.union(.netGuestOffloads)
        case .tap(let device): device.offloads
        }
    }
}

/// A virtio-net device (virtio 1.2, 5.1): a thread and a ring for each pair of queues.
///
/// Queues are numbered as the specification does: the receive queue of pair n is 2n, its transmit queue
/// 2n + 1, and the control queue comes behind all pairs, or behind the first where
/// ``VirtioFeatures/netMultiqueue`` was not negotiated. The first pair's thread serves the control queue.
///
/// It takes addresses as they are, without translation by an IOMMU: ``VirtioFeatures/accessPlatform``
/// is offered so that drivers use the DMA API, and so their bounce buffers. Buffers are used in order, so
/// `QueueSetup.inflight` is not needed and left alone: a successor goes on at the used index.
///
/// **Threading.** See `VirtioDevice`; ``statistics`` may be asked for by any thread.
public final class NetDevice: VirtioDevice {
    /// How a device is made.
    public struct Configuration: Sendable {
        /// How many pairs of queues it has, 1 to 128.
        public var pairCount = 1
        /// How long a queue may be: a power of two.
        public var queueSizeMax = 1024
        /// The greatest length of a packet, 68 to 65535 bytes.
        public var mtu = 1500
        /// The device's address; `nil` where the driver is to make one up.
        public var macAddress: MACAddress?
        /// How long a pair looks for work before it sleeps, at most; 0 not at all.
        public var pollMicroseconds = 8
        /// Told when the configuration space has changed without the driver's doing: when a link went up
        /// or down, or the driver is to announce itself. Called on any thread; it must not wait for the
        /// device.
        public var onConfigurationChange: @Sendable () -> Void = {}

        public init() {}
    }

    let connection: NetConnection
    let configuration: Configuration
    let logger: Logger
    let state: NetState
    let pairs: Mutex<Pairs>

    struct Pairs {
        var workers: [NetPairWorker?]
        /// Which queues are running, by their numbers.
        var running: [Int: Place] = [:]
        /// What threads that have ended have done.
        var ended: [NetPairStatistics]
    }

    /// Whose a queue is.
    struct Place: Equatable {
        let pair: Int
        let side: NetSide
    }

    /// - Parameter logger: where faults are noted.
    public init(
        _ connection: NetConnection, configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "NetBackend")
    ) {
        precondition(
            (1...128).contains(configuration.pairCount)
                && (NetConfiguration.mtuMin...65535).contains(configuration.mtu)
                && QueueConfiguration.isValid(size: configuration.queueSizeMax),
            "a device has 1 to 128 pairs, an MTU of 68 to 65535, and sizes that are powers of two")
        if case .tap(let device) = connection {
            precondition(
                device.queues.count >= configuration.pairCount, "a pair has a queue of the TAP")
        }
        self.connection = connection
        self.configuration = configuration
        self.logger = logger
        var space = NetConfiguration()
        space.macAddress = configuration.macAddress ?? MACAddress(rawValue: 0)
        space.mtu = UInt16(configuration.mtu)
        space.pairCountMax = UInt16(configuration.pairCount)
        state = NetState(space, onConfigurationChange: configuration.onConfigurationChange)
        pairs = Mutex(
            Pairs(
                workers: Array(repeating: nil, count: configuration.pairCount),
                ended: Array(repeating: NetPairStatistics(), count: configuration.pairCount)))
    }

    public var features: VirtioFeatures {
        var features: VirtioFeatures = [
            .version1, .accessPlatform, .packedRing, .indirectDescriptors, .eventIndex, .logAll,
            .netMTU, .netStatus, .netMergeableBuffers, .netControlQueue, .netReceiveMode,
            .netReceiveModeExtra, .netVLANFilter, .netSetMAC, .netGuestAnnounce,
        ]
        if configuration.macAddress != nil { features.insert(.netMAC) }
        if configuration.pairCount > 1 { features.insert(.netMultiqueue) }
        features.formUnion(connection.offloads)
        return features
    }

    public var queueCountMax: Int { 2 * configuration.pairCount + 1 }
    public var queueSizeMax: Int { configuration.queueSizeMax }
    public var mtuMax: Int? { configuration.mtu }

    public var canAnnounce: Bool {
        if case .tap = connection { true } else { false }
    }

    public func announce(_ address: MACAddress) throws(SystemCallError) {
        if case .tap(let device) = connection { try device.announce(address) }
    }

    public func configuration(at offset: Int, byteCount: Int) -> [UInt8]? {
        guard offset >= 0, byteCount >= 0, offset < NetConfiguration.byteCount else { return nil }
        let part = state.configuration.bytes.dropFirst(offset).prefix(byteCount)
        return part + Array(repeating: 0, count: byteCount - part.count)
    }

    /// Nothing of the configuration space is the driver's to write: its address it sets by a command.
    public func setConfiguration(_ bytes: [UInt8], at offset: Int) -> Bool { false }
}
