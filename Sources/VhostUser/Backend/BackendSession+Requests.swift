import SharedMemory
import SystemPackage
import Virtqueue

extension BackendSession {
    /// Does what a request asks.
    ///
    /// - Parameter descriptors: what came along, in the number that the request takes. Those that
    ///   are not taken are closed by the caller.
    /// - Returns: the answer to a request that has one of its own.
    func handle(
        _ request: FrontendRequest, _ descriptors: inout ReceivedDescriptors
    ) throws(RequestRefusal) -> Answer? {
        if let feature = request.code.protocolFeature {
            guard backend.protocolFeatures.contains(feature) else { throw .notOffered }
        }
        switch request {
        case .getFeatures: return Answer(reply: .number(offeredFeatures.rawValue))
        case .setFeatures(let features): try setFeatures(features)
        case .getProtocolFeatures:
            return Answer(reply: .number(backend.protocolFeatures.rawValue))
        case .setProtocolFeatures(let features): try setProtocolFeatures(features)
        case .getQueueCount: return Answer(reply: .number(UInt64(rings.count)))
        // Either is the frontend's to send, and changes nothing here: what was sent to disable
        // rings once was taken for a reset by others, so the specification lets it be ignored.
        case .setOwner, .resetOwner: break
        case .setMemoryTable(let regions):
            let memory = try RegionTable(regions, &descriptors)
            try reconfigure { self.memory = memory }
        case .getMemorySlotCount: return Answer(reply: .number(UInt64(RegionTable.slotCount)))
        case .addRegion(let region):
            let memory = try self.memory.adding(region, &descriptors)
            try reconfigure { self.memory = memory }
        case .removeRegion(let region):
            let memory = try self.memory.removing(region)
            try reconfigure { self.memory = memory }
        case .setLogBase(let log): return try setLog(log, &descriptors)
        // It is optional to signal a change of the log, and nothing does.
        case .setLogDescriptor: _ = try takeEvent(&descriptors)
        case .setBackendChannel: try setChannel(&descriptors)
        case .getConfiguration(let part): return Answer(reply: configuration(part))
        case .setConfiguration(let part): try setConfiguration(part)
        case .getInflight(let description):
            let (memory, description) = try InflightMemory.make(
                for: description, isPacked: features.contains(.packedRing), device: device)
            return Answer(reply: .inflight(description), attachment: memory)
        case .setInflight(let description):
            let inflight = try InflightMemory(
                description, isPacked: features.contains(.packedRing), device: device,
                &descriptors)
            try reconfigure { self.inflight = inflight }
        case .announce(let address): try announce(address)
        case .setMTU(let mtu):
            guard let most = device.mtuMax, mtu <= most else { throw .mtu(mtu) }
        case .resetDevice: resetDevice()
        case .setStatus(let status):
            self.status = UInt8(truncatingIfNeeded: status)
            if self.status == 0 { resetDevice() }
        case .getStatus: return Answer(reply: .number(UInt64(status)))
        case .setVringSize, .setVringAddresses, .setVringBase, .getVringBase, .setVringKick,
            .setVringCall, .setVringError, .setVringEnabled:
            return try handleVring(request, &descriptors)
        }
        return nil
    }

    /// The device's features, and that of the protocol.
    private var offeredFeatures: VirtioFeatures {
        device.features.union(.protocolFeatures)
    }

    private func setFeatures(_ features: VirtioFeatures) throws(RequestRefusal) {
        let unoffered = features.subtracting(offeredFeatures)
        guard unoffered.isEmpty else { throw .unofferedFeatures(unoffered.rawValue) }
        // QEMU repeats this for each pair of queues of a network device: those that run need not stop for it.
        if features == self.features, features.contains(.protocolFeatures) { return }
        try reconfigure {
            self.features = features
            guard !features.contains(.protocolFeatures) else { return }
            // Such a frontend knows of no message that would enable a ring.
            for index in rings.indices { rings[index].isEnabled = true }
        }
    }

    private func setProtocolFeatures(_ features: ProtocolFeatures) throws(RequestRefusal) {
        let unoffered = features.subtracting(backend.protocolFeatures)
        guard unoffered.isEmpty else { throw .unofferedFeatures(unoffered.rawValue) }
        protocolFeatures = features
        backend.setProtocolFeatures(features)
    }

    private func setLog(
        _ description: LogDescription, _ descriptors: inout ReceivedDescriptors
    ) throws(RequestRefusal) -> Answer {
        guard let descriptor = descriptors.takeFirst() else { throw .notOffered }
        let log: DirtyLog
        do {
            let (memory, offset) = try HostMemory.mapped(
                descriptor, around: description.mmapOffset, byteCount: description.byteCount)
            log = DirtyLog(memory: memory, offset: offset, byteCount: Int(description.byteCount))
        } catch {
            throw .system(error)
        }
        try reconfigure { self.log = log }
        return Answer(reply: .number(0))
    }

    private func setChannel(_ descriptors: inout ReceivedDescriptors) throws(RequestRefusal) {
        guard let descriptor = descriptors.takeFirst() else { throw .notOffered }
        // Who holds the other end of its own connection never sees that end.
        guard !socket.isReached(by: descriptor) else {
            try? descriptor.close()
            throw .channelToItself
        }
        do {
            backend.setChannel(try BackendChannel(adopting: descriptor))
        } catch {
            throw .system(SystemCallError("getsockopt", .notSocket))
        }
    }

    private func announce(_ address: MACAddress) throws(RequestRefusal) {
        do throws(SystemCallError) {
            try device.announce(address)
        } catch {
            throw .announcement(error)
        }
    }

    private func configuration(_ part: ConfigurationPart) -> Reply {
        let bytes = device.configuration(at: Int(part.offset), byteCount: part.bytes.count)
        guard let bytes, bytes.count == part.bytes.count else { return .empty }
        var answer = part
        answer.bytes = bytes
        return .configuration(answer)
    }

    private func setConfiguration(_ part: ConfigurationPart) throws(RequestRefusal) {
        let offset = Int(part.offset)
        if device.setConfiguration(part.bytes, at: offset) { return }
        // What a migration restores may cover fields that are not the driver's to write. They must
        // then be what they are.
        guard part.flags == ConfigurationPart.migrationFlag,
            device.configuration(at: offset, byteCount: part.bytes.count) == part.bytes
        else { throw .configuration }
    }

    /// As at the beginning, save what belongs to the connection and not to the device: memory, log,
    /// protocol features, channel. Frontends do not send those again.
    private func resetDevice() {
        for index in rings.indices {
            stop(index)
            rings[index].reset()
        }
        features = []
        inflight = nil
        status = 0
        device.reset()
    }

    func takeEvent(
        _ descriptors: inout ReceivedDescriptors
    ) throws(RequestRefusal) -> EventDescriptor? {
        guard let descriptor = descriptors.takeFirst() else { return nil }
        do {
            return try EventDescriptor(adopting: descriptor)
        } catch {
            throw .system(error)
        }
    }
}
