public import Virtqueue

/// What a frontend asks of a backend.
///
/// Source: the vhost-user specification, *Front-end message types*.
public enum FrontendRequest: Hashable, Sendable {
    case getFeatures
    case setFeatures(VirtioFeatures)
    case setOwner
    /// Deprecated, and without effect.
    case resetOwner
    /// Replaces all regions; a descriptor comes along for each, in their order.
    case setMemoryTable([RegionDescription])
    case setLogBase(LogDescription)
    case setLogDescriptor
    case setVringSize(VringState)
    case setVringAddresses(VringAddresses)
    case setVringBase(VringState)
    case getVringBase(VringState)
    case setVringKick(VringDescriptor)
    case setVringCall(VringDescriptor)
    case setVringError(VringDescriptor)
    case getProtocolFeatures
    case setProtocolFeatures(ProtocolFeatures)
    case getQueueCount
    /// 1 enables, 0 disables.
    case setVringEnabled(VringState)
    /// The driver with this address is here now, and does not say so itself.
    case announce(MACAddress)
    /// What the driver of a network device is told of its MTU, in bytes.
    case setMTU(UInt64)
    case setBackendChannel
    case getConfiguration(ConfigurationPart)
    case setConfiguration(ConfigurationPart)
    case getInflight(InflightDescription)
    case setInflight(InflightDescription)
    case resetDevice
    case getMemorySlotCount
    case addRegion(RegionDescription)
    case removeRegion(RegionDescription)
    case setStatus(UInt64)
    case getStatus

    /// The numbers of the requests, with the specification's names (`VHOST_USER_*`).
    public enum Code: UInt32, CaseIterable, Sendable {
        /// `GET_FEATURES`
        case getFeatures = 1
        /// `SET_FEATURES`
        case setFeatures = 2
        /// `SET_OWNER`
        case setOwner = 3
        /// `RESET_OWNER`
        case resetOwner = 4
        /// `SET_MEM_TABLE`
        case setMemoryTable = 5
        /// `SET_LOG_BASE`
        case setLogBase = 6
        /// `SET_LOG_FD`
        case setLogDescriptor = 7
        /// `SET_VRING_NUM`
        case setVringSize = 8
        /// `SET_VRING_ADDR`
        case setVringAddresses = 9
        /// `SET_VRING_BASE`
        case setVringBase = 10
        /// `GET_VRING_BASE`
        case getVringBase = 11
        /// `SET_VRING_KICK`
        case setVringKick = 12
        /// `SET_VRING_CALL`
        case setVringCall = 13
        /// `SET_VRING_ERR`
        case setVringError = 14
        /// `GET_PROTOCOL_FEATURES`
        case getProtocolFeatures = 15
        /// `SET_PROTOCOL_FEATURES`
        case setProtocolFeatures = 16
        /// `GET_QUEUE_NUM`
        case getQueueCount = 17
        /// `SET_VRING_ENABLE`
        case setVringEnabled = 18
        /// `SEND_RARP`
        case announce = 19
        /// `NET_SET_MTU`
        case setMTU = 20
        /// `SET_BACKEND_REQ_FD`, `SET_SLAVE_REQ_FD` once
        case setBackendChannel = 21
        /// `GET_CONFIG`
        case getConfiguration = 24
        /// `SET_CONFIG`
        case setConfiguration = 25
        /// `GET_INFLIGHT_FD`
        case getInflight = 31
        /// `SET_INFLIGHT_FD`
        case setInflight = 32
        /// `RESET_DEVICE`
        case resetDevice = 34
        /// `GET_MAX_MEM_SLOTS`
        case getMemorySlotCount = 36
        /// `ADD_MEM_REG`
        case addRegion = 37
        /// `REM_MEM_REG`
        case removeRegion = 38
        /// `SET_STATUS`
        case setStatus = 39
        /// `GET_STATUS`
        case getStatus = 40
    }
}

extension FrontendRequest.Code {
    /// Whether the request has an answer of its own, so that it is never acknowledged.
    public var hasReply: Bool {
        switch self {
        case .getFeatures, .setLogBase, .getVringBase, .getProtocolFeatures, .getQueueCount,
            .getConfiguration, .getInflight, .getMemorySlotCount, .getStatus:
            true
        default: false
        }
    }

    /// The extension of the protocol that the request is a part of, if any.
    public var protocolFeature: ProtocolFeatures? {
        switch self {
        case .getQueueCount: .multipleQueues
        case .setLogBase: .logDescriptor
        case .announce: .announcement
        case .setMTU: .mtu
        case .setBackendChannel: .backendRequests
        case .getConfiguration, .setConfiguration: .configuration
        case .getInflight, .setInflight: .inflightDescriptor
        case .resetDevice: .resetDevice
        case .getMemorySlotCount, .addRegion, .removeRegion: .memorySlots
        case .setStatus, .getStatus: .status
        default: nil
        }
    }
}
