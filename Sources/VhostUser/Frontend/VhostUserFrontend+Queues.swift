public import SharedMemory
public import Virtqueue

extension VhostUserFrontend {
    /// Sets up a queue and starts it. The backend looks at it after the first kick.
    ///
    /// - Parameters:
    ///   - index: which one.
    ///   - configuration: where it is; its features count for nothing, those agreed on do.
    ///   - position: where the backend is to begin.
    ///   - kick: how the backend is told of buffers; `nil` has it poll.
    ///   - call: how it tells of used ones; `nil` where it need not.
    ///   - error: signalled where the backend gives the queue up, if any.
    ///   - isEnabled: whether it may run at once; see ``setQueueEnabled(_:_:)``.
    ///   - logsUsedRing: whether its writes to the used ring go to the log of written pages.
    /// - Throws: `unreachableRing` where a part of the queue is outside of what
    ///   ``setMemory(_:)`` sent; `failed`.
    public func startQueue(
        _ index: Int, _ configuration: QueueConfiguration, at position: QueuePosition,
        kick: EventDescriptor?, call: EventDescriptor?, error: EventDescriptor? = nil,
        isEnabled: Bool = true,
        logsUsedRing: Bool = false
    ) throws(VhostUserError) {
        let number = UInt32(index)
        let byteCounts = QueueConfiguration.areaByteCounts(
            size: configuration.size, isPacked: isPacked)
        let addresses = VringAddresses(
            index: number, flags: logsUsedRing ? VringAddresses.logFlag : 0,
            descriptor: try userAddress(configuration.descriptorArea, byteCounts.descriptor),
            used: try userAddress(configuration.deviceArea, byteCounts.device),
            available: try userAddress(configuration.driverArea, byteCounts.driver),
            log: configuration.deviceArea.rawValue)
        try perform(.setVringSize(VringState(index: number, value: UInt32(configuration.size))))
        let base = position.vringBase(isPacked: isPacked)
        try perform(.setVringBase(VringState(index: number, value: base)))
        try perform(.setVringAddresses(addresses))
        if let error {
            try send(error, index) { .setVringError($0) }
        }
        try setCall(call, ofQueue: index)
        try send(kick, index) { .setVringKick($0) }
        if isEnabled { try setQueueEnabled(index, true) }
    }

    /// Changes what a queue calls the driver by.
    public func setCall(_ call: EventDescriptor?, ofQueue index: Int) throws(VhostUserError) {
        try send(call, index) { .setVringCall($0) }
    }

    /// Lets a queue run, or not. Backends without extensions run all that have been started, and
    /// are not told.
    public func setQueueEnabled(_ index: Int, _ isEnabled: Bool) throws(VhostUserError) {
        guard features.contains(.protocolFeatures) else { return }
        try perform(
            .setVringEnabled(VringState(index: UInt32(index), value: isEnabled ? 1 : 0)))
    }

    /// Stops a queue, after the backend has finished what it has begun, and learns where it is.
    public func stopQueue(_ index: Int) throws(VhostUserError) -> QueuePosition {
        let request = FrontendRequest.getVringBase(VringState(index: UInt32(index), value: 0))
        let reply = try ask(request)
        var reader = PayloadReader(reply.payload)
        guard let state = VringState(&reader), reader.isAtEnd, state.index == UInt32(index),
            let position = QueuePosition(vringBase: state.value, isPacked: isPacked)
        else { throw giveUp(.unexpectedReply(code: request.code.rawValue)) }
        return position
    }

    private var isPacked: Bool { features.contains(.packedRing) }

    private func send(
        _ event: EventDescriptor?, _ index: Int, _ request: (VringDescriptor) -> FrontendRequest
    ) throws(VhostUserError) {
        precondition(index >= 0 && index < 256, "the message has eight bits for the queue")
        let vring = VringDescriptor(index: UInt8(index), isAttached: event != nil)
        try perform(request(vring), event.map { [$0.fileDescriptor] } ?? [])
    }

    private func userAddress(
        _ address: GuestAddress, _ byteCount: Int
    ) throws(VhostUserError) -> UInt64 {
        let range = GuestRange(address: address, byteCount: byteCount)
        guard let run = memoryMap?.translate(range) else { throw .unreachableRing }
        return run.hostRange.address
    }
}
