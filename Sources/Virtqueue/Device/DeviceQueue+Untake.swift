extension DeviceQueue {
    /// Whether ``untake(_:)`` may be called: not in a queue whose buffers under way are noted, for whoever
    /// comes after a crash would find a note of what was never begun.
    public var canUntake: Bool { !hasInflight }

    /// Puts a buffer back as if it had not been taken: ``next(_:)`` finds it again.
    ///
    /// For a device that needs several buffers for one thing and does not find enough: buffers of a
    /// network that a frame is spread over.
    ///
    /// - Parameter token: that of the buffer taken last, of those that are still with the device.
    /// - Precondition: ``canUntake``.
    public mutating func untake(_ token: ChainToken) {
        precondition(inflightCount > 0 && canUntake, "a buffer that was taken can be put back")
        inflightCount &-= 1
        inflightDescriptorCount &-= Int(token.descriptorCount)
        if isPacked {
            packedAvailable.retreat(by: Int(token.descriptorCount), size: size)
        } else {
            available &-= 1
        }
    }
}
