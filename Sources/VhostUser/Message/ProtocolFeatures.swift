/// Extensions of the protocol that both sides can agree on (`VHOST_USER_PROTOCOL_F_*`).
public struct ProtocolFeatures: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    private init(bit: UInt64) {
        rawValue = 1 << bit
    }

    /// The backend says how many queues it has (`MQ`).
    public static let multipleQueues = ProtocolFeatures(bit: 0)
    /// The log of written pages is shared memory (`LOG_SHMFD`).
    public static let logDescriptor = ProtocolFeatures(bit: 1)
    /// The backend announces a driver that does not do it itself (`RARP`).
    public static let announcement = ProtocolFeatures(bit: 2)
    /// Any request can be answered with whether it went well (`REPLY_ACK`).
    public static let replyAcknowledgement = ProtocolFeatures(bit: 3)
    /// The frontend tells the MTU of a network device (`NET_MTU`).
    public static let mtu = ProtocolFeatures(bit: 4)
    /// The backend can send requests of its own (`BACKEND_REQ`).
    public static let backendRequests = ProtocolFeatures(bit: 5)
    /// The backend serves the configuration space (`CONFIG`).
    public static let configuration = ProtocolFeatures(bit: 9)
    /// What is under way is noted in shared memory (`INFLIGHT_SHMFD`).
    public static let inflightDescriptor = ProtocolFeatures(bit: 12)
    /// The device can be reset (`RESET_DEVICE`).
    public static let resetDevice = ProtocolFeatures(bit: 13)
    /// Regions of memory come and go one by one (`CONFIGURE_MEM_SLOTS`).
    public static let memorySlots = ProtocolFeatures(bit: 15)
    /// The frontend tells the device's status (`STATUS`).
    public static let status = ProtocolFeatures(bit: 16)

    /// All that this package knows.
    public static let all: ProtocolFeatures = [
        .multipleQueues, .logDescriptor, .replyAcknowledgement, .mtu, .backendRequests,
        .configuration, .inflightDescriptor, .resetDevice, .memorySlots, .status, .announcement,
    ]
}
