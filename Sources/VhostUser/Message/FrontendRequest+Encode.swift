import Virtqueue

extension FrontendRequest {
    /// The request's number.
    public var code: Code {
        switch self {
        case .getFeatures: .getFeatures
        case .setFeatures: .setFeatures
        case .setOwner: .setOwner
        case .resetOwner: .resetOwner
        case .setMemoryTable: .setMemoryTable
        case .setLogBase: .setLogBase
        case .setLogDescriptor: .setLogDescriptor
        case .setVringSize: .setVringSize
        case .setVringAddresses: .setVringAddresses
        case .setVringBase: .setVringBase
        case .getVringBase: .getVringBase
        case .setVringKick: .setVringKick
        case .setVringCall: .setVringCall
        case .setVringError: .setVringError
        case .getProtocolFeatures: .getProtocolFeatures
        case .setProtocolFeatures: .setProtocolFeatures
        case .getQueueCount: .getQueueCount
        case .setVringEnabled: .setVringEnabled
        case .announce: .announce
        case .setMTU: .setMTU
        case .setBackendChannel: .setBackendChannel
        case .getConfiguration: .getConfiguration
        case .setConfiguration: .setConfiguration
        case .getInflight: .getInflight
        case .setInflight: .setInflight
        case .resetDevice: .resetDevice
        case .getMemorySlotCount: .getMemorySlotCount
        case .addRegion: .addRegion
        case .removeRegion: .removeRegion
        case .setStatus: .setStatus
        case .getStatus: .getStatus
        }
    }

    /// What follows the header.
    public var payload: [UInt8] {
        var writer = PayloadWriter()
        switch self {
        case .getFeatures, .setOwner, .resetOwner, .setLogDescriptor, .getProtocolFeatures,
            .getQueueCount, .setBackendChannel, .resetDevice, .getMemorySlotCount, .getStatus:
            break
        case .setFeatures(let features): writer.write(features.rawValue)
        case .setProtocolFeatures(let features): writer.write(features.rawValue)
        case .announce(let address): writer.write(address.bytes + [0, 0])
        case .setMTU(let mtu): writer.write(mtu)
        case .setStatus(let status): writer.write(status)
        case .setMemoryTable(let regions):
            writer.write(UInt32(regions.count))
            writer.write(UInt32(0))
            for region in regions { region.write(to: &writer) }
        case .addRegion(let region), .removeRegion(let region):
            writer.write(UInt64(0))
            region.write(to: &writer)
        case .setLogBase(let log): log.write(to: &writer)
        case .setVringSize(let state), .setVringBase(let state), .getVringBase(let state),
            .setVringEnabled(let state):
            state.write(to: &writer)
        case .setVringAddresses(let addresses): addresses.write(to: &writer)
        case .setVringKick(let ring), .setVringCall(let ring), .setVringError(let ring):
            ring.write(to: &writer)
        case .getConfiguration(let part), .setConfiguration(let part): part.write(to: &writer)
        case .getInflight(let inflight), .setInflight(let inflight): inflight.write(to: &writer)
        }
        return writer.bytes
    }
}
