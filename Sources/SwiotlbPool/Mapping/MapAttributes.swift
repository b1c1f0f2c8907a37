/// What a driver knows of a mapping that spares copies (`DMA_ATTR_*`).
public struct MapAttributes: OptionSet, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Copies nothing at this map or unmap, whatever direction and policy say
    /// (`DMA_ATTR_SKIP_CPU_SYNC`): the driver syncs the parts that matter itself. It promises
    /// nothing of what the device does.
    public static let skipSync = MapAttributes(rawValue: 1)

    /// The device will write every byte: ``CopyBackPolicy/prefill`` needs no copy in, and unmap
    /// still copies out. Without such a policy it changes nothing.
    public static let overwritten = MapAttributes(rawValue: 2)
}
