import SharedMemory
import SystemPackage

extension VhostUserFrontend {
    /// Has the backend make memory for what is under way. To be sent with
    /// ``setInflight(_:)`` before queues start.
    ///
    /// - Parameters:
    ///   - queueCount: how many queues are used.
    ///   - queueSize: how many descriptors the longest has.
    /// - Returns: `nil` where the backend wants none.
    public func makeInflight(
        queueCount: Int, queueSize: Int
    ) throws(VhostUserError) -> VhostUserInflight? {
        let request = FrontendRequest.getInflight(
            InflightDescription(
                byteCount: 0, mmapOffset: 0, queueCount: UInt16(queueCount),
                queueSize: UInt16(queueSize)))
        var reply = try ask(request)
        var reader = PayloadReader(reply.payload)
        guard let description = InflightDescription(&reader), reader.isAtEnd else {
            throw giveUp(.unexpectedReply(code: request.code.rawValue))
        }
        guard description.byteCount > 0 else { return nil }
        guard description.queueCount == queueCount, description.queueSize == queueSize,
            reply.descriptors.count == 1, let descriptor = reply.descriptors.takeFirst()
        else { throw giveUp(.unexpectedReply(code: request.code.rawValue)) }
        do {
            let (memory, _) = try HostMemory.mapped(
                descriptor, around: description.mmapOffset, byteCount: description.byteCount)
            return VhostUserInflight(memory: memory, description: description)
        } catch {
            throw giveUp(.system(error))
        }
    }

    /// Hands the backend what it, or the one before it, has made.
    public func setInflight(_ inflight: VhostUserInflight) throws(VhostUserError) {
        guard let descriptor = inflight.memory.fileDescriptor else {
            preconditionFailure("it was mapped from a descriptor")
        }
        try perform(.setInflight(inflight.description), [descriptor])
    }
}
