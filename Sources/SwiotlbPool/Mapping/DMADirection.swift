/// Which way the payload of a mapping goes (`enum dma_data_direction`).
public enum DMADirection: UInt8, Sendable {
    /// The device reads what the driver wrote (`DMA_TO_DEVICE`): copied in at map.
    case toDevice
    /// The driver reads what the device wrote (`DMA_FROM_DEVICE`): copied out at unmap.
    case fromDevice
    /// Both (`DMA_BIDIRECTIONAL`): copied in at map, and out at unmap.
    case bidirectional

    var copiesIn: Bool { self != .fromDevice }
    var copiesOut: Bool { self != .toDevice }
}
