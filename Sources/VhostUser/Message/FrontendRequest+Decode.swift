import Virtqueue

extension FrontendRequest {
    /// Reads a request, and checks whatever can be told from the message alone.
    ///
    /// It depends on nothing but its arguments, whatever they are: this is where a fuzzer begins.
    ///
    /// - Parameters:
    ///   - code: the first word of the header.
    ///   - payload: what follows the header, all of it.
    ///   - descriptorCount: how many descriptors came along.
    public init(
        code number: UInt32, payload: [UInt8], descriptorCount: Int
    ) throws(MalformedMessage) {
        guard let code = Code(rawValue: number) else { throw .unknownRequest(number) }
        var reader = PayloadReader(payload)
        guard let request = Self.read(code, &reader), reader.isAtEnd else {
            throw .payloadSize(request: number, byteCount: payload.count)
        }
        guard request.hasValidFields else { throw .value(request: number) }
        guard request.descriptorCounts.contains(descriptorCount) else {
            throw .descriptorCount(request: number, count: descriptorCount)
        }
        self = request
    }

    /// Reads the payload of a request; `nil` where it ends too early.
    private static func read(_ code: Code, _ reader: inout PayloadReader) -> FrontendRequest? {
        switch code {
        case .getFeatures: .getFeatures
        case .setFeatures:
            reader.read(UInt64.self).map { .setFeatures(VirtioFeatures(rawValue: $0)) }
        case .setOwner: .setOwner
        case .resetOwner: .resetOwner
        case .setMemoryTable: readTable(&reader).map { .setMemoryTable($0) }
        case .setLogBase: LogDescription(&reader).map { .setLogBase($0) }
        case .setLogDescriptor: .setLogDescriptor
        case .setVringSize: VringState(&reader).map { .setVringSize($0) }
        case .setVringAddresses: VringAddresses(&reader).map { .setVringAddresses($0) }
        case .setVringBase: VringState(&reader).map { .setVringBase($0) }
        case .getVringBase: VringState(&reader).map { .getVringBase($0) }
        case .setVringKick: VringDescriptor(&reader).map { .setVringKick($0) }
        case .setVringCall: VringDescriptor(&reader).map { .setVringCall($0) }
        case .setVringError: VringDescriptor(&reader).map { .setVringError($0) }
        case .getProtocolFeatures: .getProtocolFeatures
        case .setProtocolFeatures:
            reader.read(UInt64.self).map { .setProtocolFeatures(ProtocolFeatures(rawValue: $0)) }
        case .getQueueCount: .getQueueCount
        case .setVringEnabled: VringState(&reader).map { .setVringEnabled($0) }
        case .announce: readAddress(&reader).map { .announce($0) }
        case .setMTU: reader.read(UInt64.self).map { .setMTU($0) }
        case .setBackendChannel: .setBackendChannel
        case .getConfiguration: ConfigurationPart(&reader).map { .getConfiguration($0) }
        case .setConfiguration: ConfigurationPart(&reader).map { .setConfiguration($0) }
        case .getInflight: InflightDescription(&reader).map { .getInflight($0) }
        case .setInflight: InflightDescription(&reader).map { .setInflight($0) }
        case .resetDevice: .resetDevice
        case .getMemorySlotCount: .getMemorySlotCount
        case .addRegion: readRegion(&reader).map { .addRegion($0) }
        case .removeRegion: readRegion(&reader).map { .removeRegion($0) }
        case .setStatus: reader.read(UInt64.self).map { .setStatus($0) }
        case .getStatus: .getStatus
        }
    }

    private static func readTable(_ reader: inout PayloadReader) -> [RegionDescription]? {
        guard let count = reader.read(UInt32.self), reader.read(UInt32.self) != nil,
            count <= RegionDescription.tableCountMax
        else { return nil }
        var regions: [RegionDescription] = []
        for _ in 0..<count {
            guard let region = RegionDescription(&reader) else { return nil }
            regions.append(region)
        }
        return regions
    }

    /// A single region stands behind 64 bits of no meaning.
    private static func readRegion(_ reader: inout PayloadReader) -> RegionDescription? {
        reader.read(UInt64.self).flatMap { _ in RegionDescription(&reader) }
    }

    /// An address is the first six of eight bytes.
    private static func readAddress(_ reader: inout PayloadReader) -> MACAddress? {
        let bytes = reader.readRest()
        return bytes.count == 8 ? MACAddress(bytes: bytes.prefix(MACAddress.byteCount)) : nil
    }

    private var hasValidFields: Bool {
        switch self {
        case .getConfiguration(let part): part.isInRange
        case .setConfiguration(let part):
            part.isInRange && part.flags <= ConfigurationPart.migrationFlag
        case .setVringEnabled(let state): state.value <= 1
        case .announce(let address): address.isOfOne
        default: true
        }
    }

    /// How many descriptors come along.
    public var descriptorCounts: ClosedRange<Int> {
        switch self {
        case .setMemoryTable(let regions): regions.count...regions.count
        case .setVringKick(let ring), .setVringCall(let ring), .setVringError(let ring):
            ring.isAttached ? 1...1 : 0...0
        case .setLogBase, .setLogDescriptor, .setBackendChannel, .setInflight, .addRegion: 1...1
        // None, but there are frontends that send one, which the specification lets pass.
        case .removeRegion: 0...1
        default: 0...0
        }
    }
}
