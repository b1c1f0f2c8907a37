public import SharedMemory

/// Where a backend notes what is under way. The frontend keeps it, and hands it to the backend's
/// successor.
public struct VhostUserInflight: Sendable {
    /// Mapped from a descriptor that can be sent.
    public let memory: HostMemory
    public let description: InflightDescription
}
